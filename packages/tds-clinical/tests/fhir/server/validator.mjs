// npm `fhir` with the value sets of R4: reads a resource a line, writes what it finds a line.
import { createInterface } from 'node:readline';
import { Fhir } from 'fhir';

const fhir = new Fhir();
for await (const line of createInterface({ input: process.stdin })) {
  const { valid, messages } = fhir.validate(JSON.parse(line), { errorOnUnexpected: true });
  console.log(JSON.stringify({ valid, messages }));
}
