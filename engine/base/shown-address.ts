/** An address for people: without user, password and values of the query, which may be tokens. */
export function shownAddress(address: string): string {
  if (!URL.canParse(address)) return "(an address that cannot be read)";
  const { protocol, host, pathname, searchParams } = new URL(address);
  const names = [...new Set(searchParams.keys())].map((name) => `${name}=...`);
  return `${protocol}//${host}${pathname}${names.length === 0 ? "" : `?${names.join("&")}`}`;
}
