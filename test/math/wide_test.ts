import { describe, expect, it } from "vitest";
import code from "../../shaders/shared/wide.wgsl?raw" with { type: "text" };
import { fromWide, toWide, toWideRow, wideLog2 } from "../../src/math/wide.ts";
import { useGpu } from "../support/gpu.ts";
import { seeded } from "../support/random.ts";
import { runKernel } from "../support/run_kernel.ts";
import { asWide, levelsOf } from "../support/wide_numbers.ts";

// of 24 digits and of 19, the rounding of the last
const NEAR = 2 ** -24;
const DEEP = 2 ** -19;

/** Powers of two at every edge of the format, and between. */
const POWERS = [0, -1, -2, -100, -126, -127, -128, -129, -130, -254, -255, -256, -257, -1022, -1023]
  .concat([-1074, -1075, -4000, -8063, -8064, -8065, -8190, -8191]);
const MANTISSAS = [1, 1 + 2 ** -23, 1.25, 4 / 3, 1.999, 2 - 2 ** -18, 2 - 2 ** -23, 2 - 2 ** -52];

describe("wide numbers", () => {
  it("come back within half a digit, from one to 2^-8191", () => {
    for (const power of POWERS) {
      for (const mantissa of MANTISSAS) {
        const wide = toWide(mantissa, power);
        const error = 2 ** (wideLog2(wide) - power - Math.log2(mantissa)) - 1;
        // the logarithm of a large power has fewer digits
        expect(Math.abs(error)).toBeLessThan((power >= -128 ? NEAR : DEEP) * 1.01 + 2 ** -38);
        expect(Number.isInteger(wide) && wide > 0 && wide < 2 ** 32).toBe(true);
      }
    }
  });

  it("hold the same however a value and its exponent share it", () => {
    for (const power of POWERS) {
      for (const part of [-1074, -1022, -3, 0, 5, 900]) {
        expect(toWide(2 ** part, power - part)).toBe(toWide(1, power));
      }
    }
    expect(toWide(1.75 * 2 ** -1060)).toBe(toWide(1.75, -1060));
  });

  it("are the bits of f32 times 2^100 down to 2^-128, and 18 digits with an exponent below", () => {
    expect(toWide(1)).toBe(0x71800000);
    expect(toWide(1, -128)).toBe(99 * 2 ** 23);
    expect(toWide(1, -129)).toBe(2 ** 31 + (8191 - 129) * 2 ** 18);
    expect(toWide(1.5, -8191)).toBe(2 ** 31 + 2 ** 17);
    // what is nearest to 2^-128 from below stays below
    expect(toWide(2 - 2 ** -52, -129)).toBe(toWide(1, -128 - 1) + 2 ** 18 - 1);
  });

  it("are zero below 2^-8191", () => {
    expect(toWide(0)).toBe(0);
    expect([fromWide(0), wideLog2(0)]).toEqual([0, -Infinity]);
    expect(toWide(5e-324)).toBe(toWide(1, -1074));
    for (const power of [-8192, -9000, -100000]) expect(toWide(1.9, power)).toBe(0);
    expect([...toWideRow([0, 1, 0.5])]).toEqual([0, toWide(1), toWide(0.5)]);
  });

  it("are the values themselves in f64, where it has them", () => {
    for (const value of [1, 0.3, 2 ** -100, 1e-38]) {
      expect(Math.abs(fromWide(toWide(value)) / value - 1)).toBeLessThan(NEAR);
    }
    for (const value of [1e-39, 1e-100, 1e-300]) {
      expect(Math.abs(fromWide(toWide(value)) / value - 1)).toBeLessThan(DEEP);
    }
  });
});

/** Every function of wide.wgsl on the numbers of `a` and `b`, four at a time. */
const spec = {
  name: "wide_test",
  code: `
@group(0) @binding(0) var<storage, read> a: array<vec4u>;
@group(0) @binding(1) var<storage, read> b: array<vec4u>;
@group(0) @binding(2) var<storage, read_write> results: array<vec4u>;

@compute @workgroup_size(1)
fn wide_test(@builtin(workgroup_id) group: vec3u) {
  let i = group.x;
  let one = wide_parts(a[i]);
  let other = wide_parts(b[i]);
  let level = i % 64u;
  let at = 10u * i;
  results[at] = wide_of(one.mantissa, one.exponent);
  results[at + 1u] = wide_of(one.mantissa * other.mantissa, one.exponent + other.exponent);
  results[at + 2u] = wide_sum(a[i], b[i]);
  results[at + 3u] = wide_levels(a[i]);
  results[at + 4u] = wide_from_level(wide_at_level(a[i], level), level);
  results[at + 5u] = bitcast<vec4u>(near_value(a[i]));
  results[at + 6u] = vec4u(wide_deepest(a[i]), bitcast<u32>(wide_linear(a[i].x)),
    levels_down_to(lowest_of(max(one.exponent, vec4i(-8191)))), u32(highest_of(one.exponent) + 10000000));
  results[at + 7u] = bitcast<vec4u>(one.exponent);
  results[at + 8u] = bitcast<vec4u>(scaled(vec4f(1.5), vec4i(-126, 127, -127, -100000)));
  results[at + 9u] = select(vec4u(), vec4u(1u), vec4<bool>(
    is_open(a[i], 1u), is_open(a[i], 2u), is_open(a[i], 3u), is_open(a[i], 64u)));
}
${code}`,
  bindings: { a: "read", b: "read", results: "read_write" },
} as const;

describe("wide.wgsl", () => {
  const gpu = useGpu();
  const random = seeded(17);
  const values = POWERS.flatMap((power) => MANTISSAS.map((mantissa) => toWide(mantissa, power)))
    .concat([0, 0, 0, 0], Array.from({ length: 64 }, (_, i) => toWide(1 + random(), -128 * i - 1)));
  const a = Uint32Array.from([...values, ...values, ...values, ...values].slice(0, 1000));
  const b = Uint32Array.from(a, () => values[Math.floor(random() * values.length)]!);
  const log2Of = (wide: number) => wideLog2(wide);
  const depthOf = (wide: number) => 0 - Math.floor(log2Of(wide));
  const error = (got: number, wanted: number) => Math.abs(2 ** (log2Of(got) - wanted) - 1);
  const within = (power: number, roundings = 1) =>
    2 ** -22 + (power < -127.9 ? roundings * DEEP : 0);

  it("agrees with the host's functions on every edge", async () => {
    const quads = a.length / 4;
    const { outputs } = await runKernel(gpu(), {
      spec,
      constants: {},
      buffers: { a, b, results: 160 * quads },
      workgroups: [quads],
      outputs: ["results"],
    });
    const results = asWide(outputs.results!);
    for (let quad = 0; quad < quads; quad++) {
      const own = a.subarray(4 * quad, 4 * quad + 4);
      const lines = Array.from(
        { length: 10 },
        (_, line) => results.subarray(4 * (10 * quad + line), 4 * (10 * quad + line) + 4),
      );
      const floats = (line: number) => new Float32Array(lines[line]!.slice().buffer);
      expect([...lines[0]!]).toEqual([...own]);
      own.forEach((x, i) => {
        const y = b[4 * quad + i]!;
        const product = log2Of(x) + log2Of(y);
        if (product === -Infinity) expect(lines[1]![i]).toBe(0);
        else if (product < -8191) expect(lines[1]![i]).toBe(0);
        else expect(error(lines[1]![i]!, product)).toBeLessThan(within(product));

        const [high, low] = [Math.max(log2Of(x), log2Of(y)), Math.min(log2Of(x), log2Of(y))];
        if (high === -Infinity) expect(lines[2]![i]).toBe(0);
        else {
          const sum = high + Math.log2(1 + 2 ** Math.max(low - high, -1000));
          expect(error(lines[2]![i]!, sum)).toBeLessThan(within(sum));
        }
        const level = x === 0 || depthOf(x) <= 128 ? 0 : Math.floor(depthOf(x) / 128);
        expect(lines[3]![i]).toBe(level);
        expect(lines[4]![i]).toBe(level === quad % 64 ? x : 0);
        expect(lines[5]![i]).toBe(level === 0 ? x : 0);
        expect(new Int32Array(lines[7]!.slice().buffer)[i]).toBe(
          x === 0 ? -1048576 : 0 - depthOf(x),
        );
      });
      const levels = [...own].map((x) => levelsOf(Uint32Array.of(x)));
      expect(lines[6]![0]).toBe(Math.max(...levels) - 1);
      const linear = fromWide(own[0]!);
      expect(floats(6)[1]).toBe(linear < 2 ** -126 ? 0 : Math.fround(linear));
      if (own.every((x) => x > 0)) expect(lines[6]![2]).toBe(Math.max(...levels));
      const highest = Math.max(...[...own].map((x) => x === 0 ? -1048576 : -depthOf(x)));
      expect(lines[6]![3]).toBe(highest + 10000000);
      expect([...floats(8)]).toEqual([1.5 * 2 ** -126, 1.5 * 2 ** 127, 0, 0]);
      const isOpen = (level: number) => own.some((x) => x === 0 || -depthOf(x) < 64 - 128 * level);
      expect([...lines[9]!]).toEqual([1, 2, 3, 64].map((level) => isOpen(level) ? 1 : 0));
    }
  });
});
