/**
 * Masks of the first or last tokens of messages.
 *
 * @module
 */

import type { Is, OptionsOf } from "../options.ts";
import { custom, declare, isList, whole } from "../options.ts";
import type { Mask } from "./tokens.ts";
import { maskOf, raggedTokens } from "./tokens.ts";

export const messageMaskOptions = declare("mask tokens of messages", {
  /** Tokens at the beginning of each message that count. */
  first: whole({ from: 1, otherwise: "none", says: "tokens at the beginning of each message" }),
  /** Tokens at the end of each message that count. */
  last: whole({ from: 1, otherwise: "none", says: "tokens at the end of each message" }),
  /** Tokens of a sample, where samples are padded: messages are [samples, tokens]. */
  tokens: whole({ from: 1, otherwise: "those of offsets", says: "tokens of a padded sample" }),
  /** [samples + 1]: where each sample's tokens begin, where there is no padding. */
  offsets: custom("an array of numbers", isList as Is<ArrayLike<number | bigint>>, {
    otherwise: "those of padded samples",
    says: "first token of each sample, and the number of tokens",
  }),
  /** As messages are: 1 for tokens, 0 for padding on either side, which no message has. */
  attentionMask: custom("a mask of 0 and 1", isList as Is<Mask>, {
    otherwise: "no padding",
    says: "1 for tokens, 0 for padding on either side",
  }),
});

export type MessageMaskOptions = OptionsOf<typeof messageMaskOptions>;

/**
 * A detection mask of the first or last tokens of every message, or of both.
 *
 * ```ts
 * const detectionMask = messageMask(messages, { last: 1, tokens: 512, attentionMask });
 * ```
 *
 * @param messages For every token the number of its message in its sample, below 0 where it is in none, as
 * templates are: [samples, tokens], or [tokens] with offsets.
 * @returns 1 for tokens that count, as `messages` is.
 * @throws {TypeError} If neither first nor last is given, or nothing says where samples begin.
 * @throws {RangeError} If a message is no whole number, or lengths do not belong together.
 */
export function messageMask(messages: ArrayLike<number>, options: MessageMaskOptions): Uint8Array {
  const { first = 0, last = 0, tokens, offsets, attentionMask } = messageMaskOptions.check(options);
  const { length } = messages;
  if (first + last === 0) {
    throw new TypeError("Cannot mask tokens of messages: neither first nor last is given");
  }
  if ((tokens === undefined) === (offsets === undefined)) {
    throw new TypeError(
      "Cannot mask tokens of messages: wanted either tokens, of a padded sample, or offsets",
    );
  }
  if (tokens !== undefined && length % tokens !== 0) {
    throw new RangeError(
      `Cannot mask tokens of messages: ${length} messages are given, wanted ${tokens} a sample`,
    );
  }
  const real = attentionMask && maskOf(attentionMask, "attentionMask", [length]);
  const starts = offsets
    ? raggedTokens(length, { offsets }).offsets
    : Float64Array.from({ length: length / tokens! + 1 }, (_, sample) => sample * tokens!);
  const mask = new Uint8Array(length);
  for (let sample = 0; sample + 1 < starts.length; sample++) {
    const found = new Map<number, number[]>();
    for (let token = starts[sample]!; token < starts[sample + 1]!; token++) {
      const message = messages[token]!;
      if (!Number.isInteger(message)) {
        throw new RangeError(
          `Cannot mask tokens of messages: the message of token ${token} is ${message}, wanted a ` +
            "whole number, below 0 for none",
        );
      }
      if (message < 0 || real?.[token] === 0) continue;
      const own = found.get(message);
      if (own) own.push(token);
      else found.set(message, [token]);
    }
    for (const own of found.values()) {
      for (const token of own.slice(0, first)) mask[token] = 1;
      for (const token of own.slice(Math.max(0, own.length - last))) mask[token] = 1;
    }
  }
  return mask;
}
