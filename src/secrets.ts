/**
 * Addresses as they may be shown.
 *
 * @module
 */

/**
 * A text without what may be secret in the addresses it names: a user's name and password, and queries, which
 * hold signatures and tokens.
 */
export function withoutSecrets(text: string): string {
  return text.replace(
    /\b(?!file:)([a-z][a-z0-9+.-]+:\/\/)([^\s"'<>/?#]*@)?([^\s"'<>?]*)(\?[^\s"'<>]*)?/gi,
    (_, scheme, _user, rest, query) => scheme + rest + (query ? "?…" : ""),
  );
}
