/** Keeps contacts in a CRM up to date. Everything here comes from `eventflow/plugin`. Options: crm.schema.json. */
import { badAnswer, definePlugin, type Handler, type HandlerContext, skip } from 'eventflow/plugin';

/** As `crm.schema.json` describes them. */
export interface CrmOptions {
  readonly baseUrl: string;
  readonly token: string;
  readonly email?: string;
  readonly priority?: 'low' | 'normal' | 'high';
}

function createCrm(options: CrmOptions, context: HandlerContext): Handler {
  const { baseUrl, token, email = '{{ event.data.email }}', priority = 'normal' } = options;
  const { http, clock, timeout, metrics, templates } = context;
  const url = `${baseUrl.replace(/\/$/, '')}/contacts`;
  http.assertAllowed(url);
  const address = templates.compile(email);
  const saved = metrics.counter('crm_contacts_saved', 'Contacts that the CRM took.');

  return {
    async handle(event, { idempotencyKey, signal }) {
      const contact = address.render({ event }).trim();
      if (contact === '') return skip('the event has no e-mail address');
      const response = await http.request(url, {
        method: 'POST',
        headers: {
          authorization: `Bearer ${token}`,
          'content-type': 'application/json',
          'idempotency-key': encodeURIComponent(idempotencyKey),
        },
        body: JSON.stringify({ email: contact, priority, reason: event.type }),
        timeout,
        signal,
      });
      // A contact that is there already is what we wanted.
      if ((response.status < 200 || response.status >= 300) && response.status !== 409) {
        throw badAnswer(response, clock(), `expected the CRM to take the contact, got ${response.status}`);
      }
      return saved.inc();
    },

    async check() {
      const response = await http.request(`${url}?limit=1`, { headers: { authorization: `Bearer ${token}` }, timeout });
      if (response.status === 401) throw new Error('expected the CRM to know the token, got 401: correct token');
    },
  };
}

export default definePlugin({
  name: 'eventflow-plugin-crm',
  apiVersion: 1,
  handlers: { crm: { create: createCrm } },
});
