/** Secrets that give themselves away by their form: passwords in URLs, values of variables and keys that are called so. */

const secretName = /passw(or)?d|passphrase|secret|token|api[-_]?key|private[-_]?key|credential|bearer|authorization/i;

export const isSecretName = (name: string): boolean => secretName.test(name);

// From the marks that each has and not from the words before them, so that long texts take time by their length alone.
// A password may hold an @ itself: the last one ends it.
const inUrl = /(?<=:\/\/)([^\s/?#"']+)@/g;
const inQuery = /[?&]\w*password=([^&\s"']+)/gi;

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** The passwords of the URLs in a text, as they stand and decoded. */
export function passwordsIn(text: string): string[] {
  const userinfos = [...text.matchAll(inUrl)].flatMap(
    ([, userinfo = '']) => userinfo.split(':').slice(1).join(':') || [],
  );
  const queries = [...text.matchAll(inQuery)].map(([, value = '']) => value);
  return [...new Set([...userinfos, ...queries].flatMap((one) => [one, decoded(one)]))];
}

/** For messages: `redis://[secret]@host`. */
export const replaceCredentials = (text: string): string =>
  text
    .replace(inUrl, '[secret]@')
    .replace(inQuery, (whole, value: string) => `${whole.slice(0, whole.length - value.length)}[secret]`);

const stars = (text: string): string => '*'.repeat(text.length);
const hide = (whole: string, part: string): string => {
  const at = whole.lastIndexOf(part);
  return part.includes('${') ? whole : whole.slice(0, at) + stars(part) + whole.slice(at + part.length);
};

/** A key that is called so, and what follows it up to the next field. */
const field = /(?<![\w-])["']?([\w-]+)["']?\s*:\s+(["']?)([^\s#,{}[\]&*|>][^#,}\]]*)/g;

/** Beyond it nothing of a line is shown. */
const longestLine = 1_000;

/** The beginning of a line of a file with credentials under as many stars, so that columns stay. References stay, too. */
export const hideCredentials = (line: string): string =>
  line
    .slice(0, longestLine)
    .replace(inUrl, (whole, userinfo: string) => hide(whole, userinfo))
    .replace(inQuery, (whole, value: string) => hide(whole, value))
    .replace(field, (whole, key: string, _, value: string) =>
      isSecretName(key) ? hide(whole, value.trimEnd()) : whole,
    );
