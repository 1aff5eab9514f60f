import { describe, expect, it } from "vitest";
import { messageMask } from "../../src/acts/message_mask.ts";
import { seeded } from "../support/random.ts";

describe("messageMask()", () => {
  it("has the first and the last tokens of each message of each sample", () => {
    // a template, then two messages; the next sample begins with the number that the first ended with
    const messages = [-1, 0, 0, 0, 1, 1, 1, 1, 1, 2, -1, 2];
    const tokens = 6;
    expect([...messageMask(messages, { last: 1, tokens })])
      .toEqual([0, 0, 0, 1, 0, 1, 0, 0, 1, 0, 0, 1]);
    expect([...messageMask(messages, { first: 2, tokens })])
      .toEqual([0, 1, 1, 0, 1, 1, 1, 1, 0, 1, 0, 1]);
    expect([...messageMask(messages, { first: 1, last: 1, tokens })])
      .toEqual([0, 1, 0, 1, 1, 1, 1, 0, 1, 1, 0, 1]);
    // one sample of all of them
    expect([...messageMask(messages, { last: 1, offsets: [0, 0, 12] })])
      .toEqual([0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 1]);
  });

  it("leaves padding out, on whichever side, before it counts", () => {
    const options = { last: 2, tokens: 5 };
    expect([...messageMask([0, 0, 0, 0, 0, 0, 0, 0, 0, 0], {
      ...options,
      attentionMask: [1, 1, 1, 0, 0, 0, 0, 1, 1, 1],
    })]).toEqual([0, 1, 1, 0, 0, 0, 0, 0, 1, 1]);
    expect([...messageMask([0, 0, 1, 1, 1], { ...options, attentionMask: [0, 0, 0, 0, 0] })])
      .toEqual([0, 0, 0, 0, 0]);
  });

  it("is what counting tokens of the message before and after each one says", () => {
    const random = seeded(5);
    for (let round = 0; round < 50; round++) {
      const whole = (end: number) => Math.floor(random() * end);
      const tokens = 1 + whole(12);
      const length = tokens * (1 + whole(4));
      const messages = Array.from({ length }, () => whole(4) - 1);
      const attentionMask = Array.from({ length }, () => whole(4) > 0);
      const [first, last] = [1 + whole(3), 1 + whole(3)];
      const alike = (a: number, b: number) =>
        Math.floor(a / tokens) === Math.floor(b / tokens) && messages[a] === messages[b] &&
        attentionMask[b]!;
      const wanted = messages.map((message, token) => {
        if (message < 0 || !attentionMask[token]) return 0;
        const others = messages.map((_, other) => other).filter((other) => alike(token, other));
        const before = others.filter((other) => other < token).length;
        const after = others.filter((other) => other > token).length;
        return Number(before < first || after < last);
      });
      expect([...messageMask(messages, { first, last, tokens, attentionMask })]).toEqual(wanted);
    }
  });

  it("refuses what does not say where samples begin, and messages that are no whole numbers", () => {
    expect(() => messageMask([0], { tokens: 1 })).toThrow(/neither first nor last is given/);
    expect(() => messageMask([0], { last: 1 })).toThrow(/wanted either tokens, .* or offsets/);
    expect(() => messageMask([0], { last: 1, tokens: 1, offsets: [0, 1] })).toThrow(
      /either tokens/,
    );
    expect(() => messageMask([0, 0, 0], { last: 1, tokens: 2 }))
      .toThrow(/3 messages are given, wanted 2 a sample/);
    expect(() => messageMask([0, NaN], { last: 1, tokens: 2 }))
      .toThrow(/the message of token 1 is NaN/);
    expect(() => messageMask([0, 0], { last: 1, offsets: [0, 3] })).toThrow(
      /offsets go from 0 to 3/,
    );
    expect(() => messageMask([0, 0], { last: 1, tokens: 2, attentionMask: [1] }))
      .toThrow(/attentionMask has 1 elements, wanted 2/);
  });
});
