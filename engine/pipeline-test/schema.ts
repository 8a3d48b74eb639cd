/** The schema of the files that hold tests of pipelines. */
import { readFileSync } from 'node:fs';
import type { JsonSchema } from '../config/validator.ts';

// Beside the sources the schemas are two folders up; the package carries a copy at the same distance from `dist`.
const place = new URL('../../schemas/test.schema.json', import.meta.url);

export const readTestSchema = (): JsonSchema => JSON.parse(readFileSync(place, 'utf8')) as JsonSchema;
