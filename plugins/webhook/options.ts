/** The options as `webhook.schema.json` describes them; defaults may or may not have been filled in. */
export interface WebhookOptions {
  readonly url: string;
  readonly method?: 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly mode?: 'structured' | 'binary' | 'data' | 'template';
  readonly body?: string;
  readonly contentType?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly secrets?: readonly string[];
  readonly auth?: { readonly bearer?: string; readonly username?: string; readonly password?: string };
  readonly successStatus?: readonly number[];
}
