/** What package.json says of this build. */
export interface PackageFacts {
  readonly version: string;
  readonly buildDate: string;
}
