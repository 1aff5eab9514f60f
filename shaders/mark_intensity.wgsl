// How often spikes with such features occur in every bin, in logarithms: one workgroup a spike and 4 * WORKGROUP
// bins.
//
//   log intensity = max(floor, log sum over encoding spikes of weight * K(features) * K(place) - log time + constant)
//
// The sum takes encoding spikes of the same electrode in tiles of WORKGROUP, in order, and keeps the largest
// logarithm so far and the sum relative to it: none underflows, however far features lie from all others. What
// comes in is scaled so that the logarithm of a kernel is minus a squared distance.
//
// Encoding spikes come in blocks, a dispatch each, lest one takes long: what blocks before have summed is taken
// up, and the last one brings in time, constant and floor.
//
// params           spikes [first_spike, end_spike) of the tile; floor and constant, natural logarithms; whether
//                  this is the first block, and the last; cells [first_cell, end_cell), which the block is for
// electrodes       [spikes] u32, electrode of each spike of the tile
// features         [spikes, FEATURES] f32
// electrode_starts [electrodes + 1] u32, first encoding spike of each electrode in the block
// encoding         [encoding spikes, ENTRY] f32: features, place (x, y), logarithm of the weight
// places           [CELLS, 3] vec4<f32>: x and y of bins, and the logarithm of the time spent near them; 1e30
//                  where none was
// intensity        [spikes, CELLS] vec4<f32>, written, natural logarithms; of sums alone before the last block
//
// f64 twin: test/reference/clusterless.ts.

override WORKGROUP: u32;
override FEATURES: u32;
override ENTRY: u32;
override CELLS: u32;

// no logarithm is less, and no sum of them overflows
const LEAST: f32 = -1e30;
// terms so far below the largest change no f32 sum of 2^24 terms
const NEGLIGIBLE: f32 = 40.0;

struct Params {
  first_spike: u32,
  end_spike: u32,
  floor: f32,
  constant: f32,
  is_first: u32,
  is_last: u32,
  first_cell: u32,
  end_cell: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> electrodes: array<u32>;
@group(0) @binding(2) var<storage, read> features: array<f32>;
@group(0) @binding(3) var<storage, read> electrode_starts: array<u32>;
@group(0) @binding(4) var<storage, read> encoding: array<f32>;
@group(0) @binding(5) var<storage, read> places: array<vec4f>;
@group(0) @binding(6) var<storage, read_write> intensity: array<vec4f>;

// x, y and log weight times K(features) of a tile's encoding spikes
var<workgroup> marks: array<vec3f, WORKGROUP>;

fn mark_of(spike: u32, encoding_spike: u32) -> vec3f {
  let entry = encoding_spike * ENTRY;
  var log_weight = encoding[entry + FEATURES + 2u];
  for (var feature = 0u; feature < FEATURES; feature++) {
    let difference = features[spike * FEATURES + feature] - encoding[entry + feature];
    log_weight -= difference * difference;
  }
  return vec3f(encoding[entry + FEATURES], encoding[entry + FEATURES + 1u], max(log_weight, LEAST));
}

fn term_of(mark: vec3f, x: vec4f, y: vec4f) -> vec4f {
  let along_x = x - mark.x;
  let along_y = y - mark.y;
  return mark.z - along_x * along_x - along_y * along_y;
}

@compute @workgroup_size(WORKGROUP)
fn mark_intensity(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  // more spikes than one dispatch dimension takes are folded into two
  let spike = params.first_spike + group.z * groups.y + group.y;
  if (spike >= params.end_spike) {
    return;
  }
  let electrode = electrodes[spike];
  let first = electrode_starts[electrode];
  let end = electrode_starts[electrode + 1u];
  let cell = params.first_cell + group.x * WORKGROUP + thread;
  // threads past the last cell still load marks
  let own = 3u * min(cell, params.end_cell - 1u);
  let x = places[own];
  let y = places[own + 1u];
  let at = spike * CELLS + min(cell, params.end_cell - 1u);
  var largest = vec4f(LEAST);
  var sum = vec4f();
  if (params.is_first == 0u) {
    largest = intensity[at];
    sum = select(vec4f(), vec4f(1.0), largest > vec4f(LEAST));
  }
  for (var tile = first; tile < end; tile += WORKGROUP) {
    let count = min(WORKGROUP, end - tile);
    workgroupBarrier();
    if (thread < count) {
      marks[thread] = mark_of(spike, tile + thread);
    }
    workgroupBarrier();
    var most = vec4f(LEAST);
    for (var i = 0u; i < count; i++) {
      most = max(most, term_of(marks[i], x, y));
    }
    let next = max(largest, most);
    if (any(most > next - NEGLIGIBLE)) {
      sum *= exp(max(largest - next, vec4f(-100.0)));
      for (var i = 0u; i < count; i++) {
        sum += exp(max(term_of(marks[i], x, y) - next, vec4f(-100.0)));
      }
      largest = next;
    }
  }
  if (cell >= params.end_cell) {
    return;
  }
  let log_sum = select(vec4f(LEAST), largest + log(max(sum, vec4f(1e-30))), sum > vec4f());
  let log_intensity = max(log_sum - places[own + 2u] + params.constant, vec4f(params.floor));
  intensity[at] = select(log_sum, log_intensity, params.is_last == 1u);
}
