// Pools tokens of samples, channel by channel: sums, maxima, maxima of moving averages.
//
// POOL   0: sums of detected tokens, in two parts
//        1: maxima of detected tokens
//        2: maxima over detected tokens of s = (1 - ALPHA) s + ALPHA x, which others leave as it is
//        3: maxima of the means of detected tokens within WINDOW tokens, that end at any token or, with
//           ENDS_DETECTED, at a detected one
// FORMAT 0: f32; 1: half floats; 2: brain floats; halves two a word, the first in the lower half
//
// params           tokens [first_token, end_token) of the tile; tokens of `tokens` before the tile
// segments         [segments] (first token in the tile, end, entry of `pooled` * 64 + place of that token in
//                  its block, tokens of the sample before the tile * 2 + whether it begins in the tile) u32
// detected         [before + tile] u32, 0 or 1
// tokens           [before + tile, HIDDEN] f32, or halves
// pooled           [entries, 2, HIDDEN] u32: bits of two sums to be added; a maximum's key and, of POOL 2, s; key
//                  0 where no token was detected. What a tile ends within goes on there
// faults           NaN, infinities, and the first token of each: tokens that are detected alone
//
// A thread owns a channel of a sample and takes its tokens one after the other, sums in blocks of 64 tokens of
// the sample, so that nothing depends on where tiles and dispatches begin. Infinity is no number here:
// maxima are taken of keys, by integers. f64 twin: test/reference/pool_tokens.ts.

override HIDDEN: u32;
override FORMAT: u32;
override POOL: u32;
override WINDOW: u32;
override ENDS_DETECTED: u32;
override ALPHA: f32;

struct Params {
  first_token: u32,
  end_token: u32,
  before: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> segments: array<vec4u>;
@group(0) @binding(2) var<storage, read> detected: array<u32>;
@group(0) @binding(3) var<storage, read> tokens: array<u32>;
@group(0) @binding(4) var<storage, read_write> pooled: array<u32>;
@group(0) @binding(5) var<storage, read_write> faults: array<atomic<u32>, 4>;

const BLOCK = 64u;

fn widen_half(half: u32) -> u32 {
  let magnitude = half & 0x7fffu;
  let normal = (magnitude << 13u) + (112u << 23u);
  // below 2^-14 there is no implied bit; as a count of 2^-24 it is exact, and no small f32
  let small = bitcast<u32>(f32(magnitude) * 5.9604644775390625e-8);
  let finite = select(normal, small, magnitude < 0x400u);
  return ((half & 0x8000u) << 16u) | select(finite, 0x7f800000u | (magnitude << 13u), magnitude >= 0x7c00u);
}

// A token counted from the first of `tokens`, as bits of f32.
fn bits_of(token: u32, channel: u32) -> u32 {
  let element = token * HIDDEN + channel;
  if (FORMAT == 0u) {
    return tokens[element];
  }
  let half = (tokens[element / 2u] >> (16u * (element & 1u))) & 0xffffu;
  if (FORMAT == 1u) {
    return widen_half(half);
  }
  return half << 16u;
}

// Larger for larger numbers, and 0 for none.
fn key_of(bits: u32) -> u32 {
  return select(bits | 0x80000000u, ~bits, bits >= 0x80000000u);
}

// Whether it is neither NaN nor infinite; what is gets noted.
fn is_finite(bits: u32, token: u32) -> bool {
  let magnitude = bits & 0x7fffffffu;
  if (magnitude < 0x7f800000u) {
    return true;
  }
  let kind = select(0u, 1u, magnitude == 0x7f800000u);
  atomicAdd(&faults[kind], 1u);
  atomicMin(&faults[2u + kind], token);
  return false;
}

@compute @workgroup_size(64)
fn pool_tokens(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let channel = 64u * group.x + lane;
  let segment = segments[group.y];
  let first = max(segment.x, params.first_token);
  let end = min(segment.y, params.end_token);
  if (channel >= HIDDEN || first >= end) {
    return;
  }
  let out = segment.z / BLOCK * 2u * HIDDEN + channel;
  let begins = (segment.w & 1u) == 1u && first == segment.x;
  var state = vec2u();
  if (!begins) {
    state = vec2u(pooled[out], pooled[out + HIDDEN]);
  }
  if (POOL == 3u) {
    // as many tokens of the sample as there are before the first one of the segment
    let lowest = params.before + segment.x - segment.w / 2u;
    for (var token = params.before + first; token < params.before + end; token++) {
      if (ENDS_DETECTED == 1u && detected[token] == 0u) {
        continue;
      }
      let oldest = max(lowest, token + 1u - min(WINDOW, token + 1u));
      var sum = 0.0;
      var count = 0u;
      for (var other = oldest; other <= token; other++) {
        if (detected[other] == 1u) {
          let bits = bits_of(other, channel);
          let magnitude = bits & 0x7fffffffu;
          if (magnitude < 0x7f800000u) {
            sum += bitcast<f32>(bits);
          }
          count++;
        }
      }
      if (count > 0u) {
        state.x = max(state.x, key_of(bitcast<u32>(sum / f32(count))));
      }
    }
    for (var token = first; token < end; token++) {
      if (detected[params.before + token] == 1u) {
        let sound = is_finite(bits_of(params.before + token, channel), token);
      }
    }
  } else {
    var place = segment.z % BLOCK + first - segment.x;
    for (var token = first; token < end; token++) {
      if (detected[params.before + token] == 1u) {
        let bits = bits_of(params.before + token, channel);
        let sound = is_finite(bits, token);
        if (POOL == 0u && sound) {
          state.y = bitcast<u32>(bitcast<f32>(state.y) + bitcast<f32>(bits));
        } else if (POOL == 1u && (bits & 0x7fffffffu) <= 0x7f800000u) {
          state.x = max(state.x, key_of(bits));
        } else if (POOL == 2u && sound) {
          let average = (1.0 - ALPHA) * bitcast<f32>(state.y) + ALPHA * bitcast<f32>(bits);
          state.y = bitcast<u32>(average);
          state.x = max(state.x, key_of(state.y));
        }
      }
      place++;
      if (POOL == 0u && place % BLOCK == 0u) {
        state.x = bitcast<u32>(bitcast<f32>(state.x) + bitcast<f32>(state.y));
        state.y = 0u;
      }
    }
  }
  pooled[out] = state.x;
  pooled[out + HIDDEN] = state.y;
}
