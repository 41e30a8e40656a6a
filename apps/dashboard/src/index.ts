/** Where the built pages are, as a `file:` URL. */
export const PAGES: URL = new URL('./pages/', import.meta.url);
