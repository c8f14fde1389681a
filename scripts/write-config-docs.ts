// Writes config/REFERENCE.md from the settings table. Run from the root: after `npm run build`,
// `node dist/scripts/write-config-docs.js`. A test fails while the page is out of date.

import { writeFileSync } from "node:fs";
import { referenceText } from "../config/reference.ts";

const REFERENCE_FILE = "config/REFERENCE.md";

writeFileSync(REFERENCE_FILE, referenceText());
process.stdout.write(`wrote ${REFERENCE_FILE}\n`);
