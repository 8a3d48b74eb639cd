/** The version of this package; `test/repo` holds it against package.json. */
export const version = '0.1.0';
