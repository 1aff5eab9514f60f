import { describe, expect, it } from "vitest";
import { parsePythonLiteral } from "../../src/array/python_literal.ts";

describe("parsePythonLiteral()", () => {
  it.each([
    ["1", 1],
    [" -12 ", -12],
    ["3L", 3],
    ["True", true],
    ["None", null],
    ["'a\\'b'", "a'b"],
    ['u"a\\"\\n"', 'a"\n'],
    ["()", []],
    ["(1)", 1],
    ["(1,)", [1]],
    ["(1, [2, ('x',),],)", [1, [2, ["x"]]]],
    ["{}", new Map()],
    ["{'a': 1, 'b': (2, 3), }", new Map<string, unknown>([["a", 1], ["b", [2, 3]]])],
  ])("reads %s", (text, value) => expect(parsePythonLiteral(text)).toEqual(value));

  it.each([
    "",
    "(",
    "(1",
    "(,)",
    "[1 2]",
    "{'a'}",
    "{'a': }",
    "{'a': 1 'b': 2}",
    "'a",
    "'a' 'b'",
    "1.5",
    "1e5",
    "0x10",
    "nan",
    "Truer",
    "__import__('os')",
    "1; 2",
    "'\\x41'",
    "(".repeat(100_000),
  ])("refuses %s", (text) => expect(() => parsePythonLiteral(text)).toThrow(SyntaxError));
});
