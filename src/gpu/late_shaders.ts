/**
 * Shaders that modules for bundlers leave out, until a kernel is compiled of them: a page loads those that it runs.
 *
 * @module
 */

/** How to come by a shader, by the comment that stands for it. */
const shaders = new Map<string, () => Promise<{ default: string }>>();

/**
 * A comment that stands for a shader. Called by shaders as `tools/web.ts` builds them; elsewhere a shader is its text.
 */
export function lateShader(name: string, load: () => Promise<{ default: string }>): string {
  const comment = `//late ${name};`;
  shaders.set(comment, load);
  return comment;
}

/** WGSL with all of its shaders in it. */
export async function wholeShader(code: string): Promise<string> {
  const comments = code.match(/\/\/late .+?;/g) ?? [];
  const texts = await Promise.all(
    comments.map(async (comment) => (await shaders.get(comment)!()).default),
  );
  return code.replace(/\/\/late .+?;/g, () => texts.shift()!);
}
