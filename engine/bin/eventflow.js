#!/usr/bin/env node
// Plain JavaScript, so that a Node that is too old can say so instead of failing on syntax.
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < 22 || (major === 22 && minor < 22)) {
  console.error(`eventflow: expected Node.js 22.22 or later, got ${process.version}: install a newer one`);
  process.exit(78);
}

// In a checkout the sources run as they are; an installed package has been compiled.
const source = new URL('../cli/main.ts', import.meta.url);
if (!import.meta.url.includes('/node_modules/') && existsSync(source)) {
  const { registerHooks } = await import('node:module');
  registerHooks({
    resolve: (specifier, context, next) =>
      next(specifier, { ...context, conditions: ['eventflow-source', ...context.conditions] }),
  });
  await import(fileURLToPath(source));
} else {
  await import(new URL('../dist/cli/main.js', import.meta.url).href);
}
