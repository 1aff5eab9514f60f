import { describe, expect, it } from "vitest";
import activations from "../../shaders/shared/activations.wgsl?raw" with { type: "text" };
import logarithmCode from "../../shaders/shared/logarithm.wgsl?raw" with { type: "text" };
import normalCode from "../../shaders/shared/normal.wgsl?raw" with { type: "text" };
import philoxCode from "../../shaders/shared/philox.wgsl?raw" with { type: "text" };
import { philox } from "../../src/math/random.ts";
import { normalQuantile } from "../reference/cpa_model.ts";
import { normalBelow, sigmoid, softplus } from "../reference/net_layers.ts";
import { useGpu } from "../support/gpu.ts";
import { runKernel } from "../support/run_kernel.ts";

const gpu = useGpu();

// x, GELU, its slope, softplus, sigmoid, by mpmath with 40 digits
const KNOWN = [
  [0, 0, 0.5, 0.693147181, 0.5],
  [1.0e-30, 5.00000002e-31, 0.5, 0.693147181, 0.5],
  [-1.0e-30, -5.00000002e-31, 0.5, 0.693147181, 0.5],
  [9.99999994e-9, 5.00000001e-9, 0.500000008, 0.693147186, 0.500000002],
  [-9.99999994e-9, -4.99999993e-9, 0.499999992, 0.693147176, 0.499999997],
  [9.99999975e-5, 5.00039882e-5, 0.500079788, 0.693197182, 0.500025],
  [-9.99999975e-5, -4.99960093e-5, 0.499920212, 0.693097182, 0.499975],
  [0.00999999978, 0.00503989345, 0.507978579, 0.69815968, 0.502499979],
  [-0.00999999978, -0.00496010633, 0.492021421, 0.688159681, 0.497500021],
  [0.100000001, 0.0539827846, 0.579523093, 0.744396661, 0.524979188],
  [-0.100000001, -0.0460172169, 0.420476907, 0.644396659, 0.475020812],
  [0.300000012, 0.185373435, 0.732327776, 0.854355251, 0.57444252],
  [-0.300000012, -0.114626577, 0.267672224, 0.554355239, 0.42555748],
  [0.5, 0.345731231, 0.867495125, 0.974076984, 0.622459331],
  [-0.5, -0.154268769, 0.132504875, 0.474076984, 0.377540669],
  [0.75, 0.580029486, 0.999225722, 1.13687101, 0.679178699],
  [-0.75, -0.169970514, 0.000774278261, 0.386871006, 0.320821301],
  [1.0, 0.841344746, 1.08331547, 1.31326169, 0.731058579],
  [-1.0, -0.158655254, -0.0833154706, 0.313261688, 0.268941421],
  [1.5, 1.3997892, 1.12746919, 1.70141328, 0.817574476],
  [-1.5, -0.100210802, -0.127469192, 0.201413278, 0.182425524],
  [2.0, 1.95449974, 1.0852318, 2.12692801, 0.880797078],
  [-2.0, -0.0455002639, -0.0852318011, 0.126928011, 0.119202922],
  [2.5, 2.48447584, 1.03761109, 2.57888973, 0.92414182],
  [-2.5, -0.0155241633, -0.0376110859, 0.0788897343, 0.07585818],
  [3.0, 2.99595031, 1.01194565, 3.04858735, 0.952574127],
  [-3.0, -0.00404969409, -0.0119456472, 0.0485873516, 0.0474258732],
  [4.0, 3.99987332, 1.00050365, 4.01814993, 0.98201379],
  [-4.0, -0.000126684967, -0.000503649661, 0.0181499279, 0.01798621],
  [5.0, 4.99999857, 1.00000715, 5.00671535, 0.993307149],
  [-5.0, -1.43325786e-6, -7.146946e-6, 0.00671534849, 0.00669285092],
  [6.0, 5.99999999, 1.00000004, 6.00247569, 0.997527377],
  [-6.0, -5.91952587e-9, -3.54687095e-8, 0.00247568514, 0.00247262316],
  [8.0, 8.0, 1.0, 8.00033541, 0.99966465],
  [-8.0, -4.97676846e-15, -3.97960726e-14, 0.000335406373, 0.00033535013],
  [10.0, 10.0, 1.0, 10.0000454, 0.999954602],
  [-10.0, -7.61985302e-23, -7.6184001e-22, 4.53988992e-5, 4.53978687e-5],
  [13.0, 13.0, 1.0, 13.0000023, 0.99999774],
  [-13.0, -7.95231372e-38, -1.03373044e-36, 2.26032685e-6, 2.2603243e-6],
  [20.0, 20.0, 1.0, 20.0, 0.999999998],
  [-20.0, 0, 0, 2.06115362e-9, 2.06115362e-9],
  [50.0, 50.0, 1.0, 50.0, 1.0],
  [-50.0, 0, 0, 1.92874985e-22, 1.92874985e-22],
  [88.0, 88.0, 1.0, 88.0, 1.0],
  [-88.0, 0, 0, 6.0546019e-39, 6.0546019e-39],
  [1000.0, 1000.0, 1.0, 1000.0, 1.0],
  [-1000.0, 0, 0, 0, 0],
  [1.0e+10, 1.0e+10, 1.0, 1.0e+10, 1.0],
  [-1.0e+10, 0, 0, 0, 0],
  [1.00000002e+30, 1.00000002e+30, 1.0, 1.00000002e+30, 1.0],
  [-1.00000002e+30, 0, 0, 0, 0],
] as const;

describe("functions of layers", () => {
  it("are true to 1e-6 from -1e30 to 1e30, in f32", async () => {
    const { outputs } = await runKernel(gpu(), {
      spec: {
        name: "functions",
        code: `
          @group(0) @binding(0) var<storage, read> x: array<f32>;
          @group(0) @binding(1) var<storage, read_write> y: array<vec4f>;
          @compute @workgroup_size(64) fn functions(@builtin(global_invocation_id) id: vec3u) {
            if (id.x < arrayLength(&x)) {
              let own = vec4f(x[id.x]);
              y[id.x] = vec4f(gelu(own).x, gelu_slope(own).x, softplus(own).x, sigmoid(own).x);
            }
          }` + activations,
        bindings: { x: "read", y: "read_write" },
      },
      constants: {},
      buffers: { x: Float32Array.from(KNOWN, ([x]) => x), y: 16 * KNOWN.length },
      workgroups: [1],
      outputs: ["y"],
    });
    KNOWN.forEach(([x, ...known], i) =>
      known.forEach((wanted, k) => {
        const off = Math.abs(outputs.y![4 * i + k]! - wanted);
        expect(off, `function ${k} of ${x}`).toBeLessThan(1e-6 * Math.max(1, Math.abs(wanted)));
        // softplus and sigmoid to 1e-5 of themselves, down to the smallest f32 that are normal
        if (k >= 2 && wanted > 1.2e-38) expect(off / wanted).toBeLessThan(1e-5);
      })
    );
  });

  it("are those of their twins", () => {
    for (const [x, gelu, slope, soft, steep] of KNOWN) {
      const scale = Math.max(1, Math.abs(x));
      const density = Math.exp(-x * x / 2) / Math.sqrt(2 * Math.PI);
      // the table has 9 digits
      expect(Math.abs(x * normalBelow(x) - gelu) / scale).toBeLessThan(1e-8);
      expect(Math.abs(normalBelow(x) + x * density - slope)).toBeLessThan(1e-8);
      expect(Math.abs(softplus(x) - soft) / scale).toBeLessThan(1e-8);
      expect(Math.abs(sigmoid(x) - steep)).toBeLessThan(1e-8);
    }
  });

  it("turn words into numbers that are normal, from the least likely to the most", async () => {
    const words = [
      0,
      511,
      512,
      1000,
      2 ** 20,
      2 ** 28,
      2 ** 31 - 1,
      2 ** 31,
      2 ** 32 - 513,
      2 ** 32 - 1,
    ];
    for (let i = 0; i < 90; i++) words.push(philox([i, 0, 0, 0], [1, 2])[0]);
    const { outputs } = await runKernel(gpu(), {
      spec: {
        name: "normals",
        code: `
          @group(0) @binding(0) var<storage, read> words: array<u32>;
          @group(0) @binding(1) var<storage, read_write> y: array<f32>;
          @compute @workgroup_size(128) fn normals(@builtin(global_invocation_id) id: vec3u) {
            if (id.x < arrayLength(&words)) {
              y[id.x] = normal_of(f32(2u * (words[id.x] >> 9u) + 1u) * 1.1920928955078125e-7 - 1.0);
            }
          }` + [normalCode, philoxCode, logarithmCode].join("\n"),
        bindings: { words: "read", y: "read_write" },
      },
      constants: {},
      buffers: { words: Uint32Array.from(words), y: 4 * words.length },
      workgroups: [1],
      outputs: ["y"],
    });
    words.forEach((word, i) => {
      const wanted = normalQuantile(((word >>> 9) + 0.5) / 2 ** 23);
      expect(Math.abs(outputs.y![i]! - wanted), String(word)).toBeLessThan(3e-6);
    });
    expect(outputs.y![0]).toBeLessThan(-5);
  });

  it("draw what is dropped as the host draws", async () => {
    const { outputs } = await runKernel(gpu(), {
      spec: {
        name: "draws",
        code: `
          @group(0) @binding(0) var<storage, read_write> y: array<vec4u>;
          @compute @workgroup_size(64) fn draws(@builtin(global_invocation_id) id: vec3u) {
            y[id.x] = philox(vec4u(id.x, 3u, 4000000000u, 0u), vec2u(0xdeadbeefu, id.x * 77u));
          }` + philoxCode,
        bindings: { y: "read_write" },
      },
      constants: {},
      buffers: { y: 16 * 64 },
      workgroups: [1],
      outputs: ["y"],
    });
    const words = new Uint32Array(outputs.y!.buffer);
    for (let i = 0; i < 64; i++) {
      expect([...words.subarray(4 * i, 4 * i + 4)])
        .toEqual(philox([i, 3, 4000000000, 0], [0xdeadbeef, i * 77]));
    }
  });
});
