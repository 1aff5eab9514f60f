// Copies windows of frames, each a run of the table, side by side into a batch.
//
// FORMAT 0: 32-bit elements, as they are
//        1: half floats, widened to f32 exactly, small ones too; NaN becomes the quiet one
//        2: half floats, as they are, two a word; a window has an even number of them
//        3: brain floats, widened to f32: any of their bits
//
// PADDED 0: windows lie within their frames
//        1: frames beyond them are the first or the last of them again
//        2: frames beyond them are 0
//
// params           first entry of window_table; words of a window in the batch; features, where padded
// window_table     [entries] (first element in frame_table, slot in batch) u32; where padded,
//                  [entries, 2], and (frames of padding before the first, frames of the table)
// frame_table      [rows, features] f32, or f16 or bf16 two a word, the first in the lower half
// batch            [slots, size, features] f32 or f16, written
//
// All are words: floats that pass through f32 registers may lose NaN and subnormals. Workgroups along
// x share a window, those along y are windows. Twin: test/reference/gather_windows.ts.

override WORKGROUP: u32;
override WORDS_PER_THREAD: u32;
override FORMAT: u32;
override PADDED: u32;

const NO_ELEMENT = 0xffffffffu;

struct Params {
  first_entry: u32,
  window_words: u32,
  features: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> window_table: array<vec2u>;
@group(0) @binding(2) var<storage, read> frame_table: array<u32>;
@group(0) @binding(3) var<storage, read_write> batch: array<u32>;

// Where an element of a window lies in the table: `first` is that of its first frame there.
fn element_of(element: u32, first: u32, real: vec2u) -> u32 {
  if (PADDED == 0u) {
    return first + element;
  }
  let frame = element / params.features;
  let place = i32(frame) - i32(real.x);
  let last = i32(real.y) - 1;
  if (PADDED == 2u && (place < 0 || place > last)) {
    return NO_ELEMENT;
  }
  return first + u32(clamp(place, 0, last)) * params.features + element % params.features;
}

fn word_at(element: u32) -> u32 {
  if (PADDED == 2u && element == NO_ELEMENT) {
    return 0u;
  }
  return frame_table[element];
}

fn half_at(element: u32) -> u32 {
  if (PADDED == 2u && element == NO_ELEMENT) {
    return 0u;
  }
  return (frame_table[element / 2u] >> (16u * (element & 1u))) & 0xffffu;
}

// Without branches: threads of a group widen all kinds of halves side by side.
fn widen(half: u32) -> u32 {
  let magnitude = half & 0x7fffu;
  let normal = (magnitude << 13u) + (112u << 23u);
  // below 2^-14 there is no implied bit; as a count of 2^-24 it is exact, and no small f32
  let small = bitcast<u32>(f32(magnitude) * 5.9604644775390625e-8);
  let finite = select(normal, small, magnitude < 0x400u);
  let signed = ((half & 0x8000u) << 16u) | select(finite, 0x7f800000u, magnitude == 0x7c00u);
  return select(signed, 0x7fc00000u, magnitude > 0x7c00u);
}

@compute @workgroup_size(WORKGROUP)
fn gather_windows(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let number = params.first_entry + group.y;
  var entry: vec2u;
  var real = vec2u(0u, 0u);
  if (PADDED == 0u) {
    entry = window_table[number];
  } else {
    entry = window_table[2u * number];
    real = window_table[2u * number + 1u];
  }
  let target_word = entry.y * params.window_words;
  let first = group.x * WORKGROUP * WORDS_PER_THREAD + lane;
  let end = min(params.window_words, first + WORKGROUP * WORDS_PER_THREAD);
  for (var word = first; word < end; word += WORKGROUP) {
    if (FORMAT == 0u) {
      batch[target_word + word] = word_at(element_of(word, entry.x, real));
    } else if (FORMAT == 1u) {
      batch[target_word + word] = widen(half_at(element_of(word, entry.x, real)));
    } else if (FORMAT == 3u) {
      batch[target_word + word] = half_at(element_of(word, entry.x, real)) << 16u;
    } else {
      let low = half_at(element_of(2u * word, entry.x, real));
      let high = half_at(element_of(2u * word + 1u, entry.x, real));
      batch[target_word + word] = low | (high << 16u);
    }
  }
}
