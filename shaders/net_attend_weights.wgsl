// Attention over the detected rows of every sample, or of a window of it: weights = softmax(scores / T), 0 for
// all other rows.
//
// params           see Params
// starts           [tile samples + 1] u32, the row of the tile at which each sample begins
// detected         [tile rows] u32
// scores           [nets, y_rows, stride] f32, a column a head
// windows          [nets, y_samples, heads] vec2<u32>, of net_attend_window.wgsl; unused where `windowed` is 0
// weights          as scores, written
//
// A workgroup a sample (x), head (y) and net (z); sums of its threads are added pairwise. f64 twin: attend() in
// test/reference/net_layers.ts.

override LANES: u32;

struct Params {
  first_row: u32,
  first_sample: u32,
  windowed: u32,
  inverse_temperature: f32,
  stride: u32,
  y_rows: u32,
  y_samples: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> starts: array<u32>;
@group(0) @binding(2) var<storage, read> detected: array<u32>;
@group(0) @binding(3) var<storage, read> scores: array<f32>;
@group(0) @binding(4) var<storage, read> windows: array<vec2u>;
@group(0) @binding(5) var<storage, read_write> weights: array<f32>;

// below what any score is
const LEAST = -3.4028234e38;

@compute @workgroup_size(64)
fn net_attend_weights(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let start = starts[params.first_sample + group.x] - params.first_row;
  let end = starts[params.first_sample + group.x + 1u] - params.first_row;
  let own = group.z * params.y_rows * params.stride + group.y;
  var window = vec2u(start, end);
  if (params.windowed == 1u) {
    window = windows[(group.z * params.y_samples + group.x) * groups.y + group.y];
  }
  var top = LEAST;
  for (var row = window.x + lane; row < window.y; row += LANES) {
    if (detected[params.first_row + row] != 0u) {
      top = max(top, scores[own + row * params.stride]);
    }
  }
  top = run_max(lane, top);
  var sum = 0.0;
  for (var row = window.x + lane; row < window.y; row += LANES) {
    if (detected[params.first_row + row] != 0u) {
      sum += exp((scores[own + row * params.stride] - top) * params.inverse_temperature);
    }
  }
  sum = run_sum(lane, sum);
  for (var row = start + lane; row < end; row += LANES) {
    let at = own + row * params.stride;
    var weight = 0.0;
    if (row >= window.x && row < window.y && detected[params.first_row + row] != 0u) {
      weight = exp((scores[at] - top) * params.inverse_temperature) / sum;
    }
    weights[at] = weight;
  }
}
