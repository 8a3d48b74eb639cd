/** Configuration: settings, pipelines and plugin manifests, from text to frozen values or diagnostics. */
export {
  findHandler,
  type HandlerManifest,
  type PluginCatalog,
  readCatalog,
} from '../plugins/manifest.ts';
export { composeSchema, readSettingsSchema } from './compose.ts';
export { passwordsIn } from './credentials.ts';
export {
  type Diagnostic,
  formatDiagnostic,
  type JsonDiagnostic,
  sortDiagnostics,
  toGithub,
  toJson,
} from './diagnostic.ts';
export { type LoadRequest, type LoadResult, loadGeneration, type PipelineText } from './load.ts';
export { pipelinesInMarkdown } from './markdown.ts';
export {
  loadSettings,
  type Settings,
  type SettingsRequest,
  type SettingsResult,
  settingsVariables,
} from './settings.ts';
export { changedSettings } from './settings-diff.ts';
export { type Watching, type WatchRequest, watchFiles } from './watch.ts';
