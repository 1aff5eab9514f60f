// The better of results of a workgroup's 64 threads, with the place of each: the larger one, and the first of equal ones. Appended
// to the kernels that use it.

// The place of a thread that has no result.
const NONE = 0xffffffffu;

var<workgroup> results: array<f32, 64>;
var<workgroup> places: array<u32, 64>;

// Whether a result is better than another one.
fn better(result: f32, place: u32, than: f32, than_place: u32) -> bool {
  if (place == NONE || than_place == NONE) {
    return place != NONE;
  }
  return result > than || (result == than && place < than_place);
}

// Leaves in `results` and `places` of the first `together` threads the best of all that are a multiple of `together` away.
fn find_best(lane: u32, together: u32, result: f32, place: u32) {
  results[lane] = result;
  places[lane] = place;
  for (var step = 32u; step >= together; step /= 2u) {
    workgroupBarrier();
    if (
      lane < step &&
      better(results[lane + step], places[lane + step], results[lane], places[lane])
    ) {
      results[lane] = results[lane + step];
      places[lane] = places[lane + step];
    }
  }
}
