// For every sample and head, the window of rows whose attention gives most: sum of softmax(scores / T) values
// over its detected rows. The first of equal ones; empty where no row is detected.
//
// params           see Params; a window begins at rows 0 to longest - window of every sample, and ends
//                  after `window` rows or with the sample; or there is one, the sample. Where longest is 0 it is
//                  the sample's own length
// starts           [tile samples + 1] u32, the row of the tile at which each sample begins
// detected         [tile rows] u32
// scores, values   [nets, y_rows, stride] f32, a column a head
// windows          [nets, y_samples, heads] vec2<u32>, written: first row of the batch and end
//
// A workgroup a sample (x), head (y) and net (z), a thread every 64th window. f64 twin: attend() in
// test/reference/net_layers.ts.

struct Params {
  first_row: u32,
  first_sample: u32,
  longest: u32,
  window: u32,
  inverse_temperature: f32,
  stride: u32,
  y_rows: u32,
  y_samples: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> starts: array<u32>;
@group(0) @binding(2) var<storage, read> detected: array<u32>;
@group(0) @binding(3) var<storage, read> scores: array<f32>;
@group(0) @binding(4) var<storage, read> values: array<f32>;
@group(0) @binding(5) var<storage, read_write> windows: array<vec2u>;

@compute @workgroup_size(64)
fn net_attend_window(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let start = starts[params.first_sample + group.x] - params.first_row;
  let end = starts[params.first_sample + group.x + 1u] - params.first_row;
  let own = group.z * params.y_rows * params.stride + group.y;
  let length = end - start;
  let longest = select(params.longest, length, params.longest == 0u);
  let whole = longest <= params.window;
  let reach = select(params.window, max(length, 1u), whole);
  let count = select(min(length, longest - params.window + 1u), min(length, 1u), whole);

  var result = 0.0;
  var place = NONE;
  for (var first = start + lane; first < start + count; first += 64u) {
    let last = min(first + reach, end);
    var top = 0.0;
    var any = false;
    for (var row = first; row < last; row++) {
      if (detected[params.first_row + row] != 0u) {
        let score = scores[own + row * params.stride];
        top = select(score, max(top, score), any);
        any = true;
      }
    }
    var sum = 0.0;
    var weights = 0.0;
    for (var row = first; row < last; row++) {
      if (detected[params.first_row + row] != 0u) {
        let at = own + row * params.stride;
        let weight = exp((scores[at] - top) * params.inverse_temperature);
        sum += weight * values[at];
        weights += weight;
      }
    }
    if (any) {
      let here = sum / weights;
      if (better(here, first, result, place)) {
        result = here;
        place = first;
      }
    }
  }
  find_best(lane, 1u, result, place);
  if (lane == 0u) {
    let at = (group.z * params.y_samples + group.x) * groups.y + group.y;
    let first = places[0];
    windows[at] = select(vec2u(first, min(first + reach, end)), vec2u(), first == NONE);
  }
}
