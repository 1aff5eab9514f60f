// Products of 8 numbers with 8 others, added to what a thread holds in registers: 64 multiply-adds for two
// loads of 32 bytes. Appended to the kernels that use it.
//
// 8 x 8 is what pays everywhere it was measured (SwiftShader, and lavapipe by Dawn and by wgpu; 64 codes x
// 512 features). Of its speed, 4 x 16 and 16 x 4 reach 0.6 to 1.0, 8 x 16 reaches 0.7 to 1.0, 16 x 8
// reaches 0.9 to 1.06. 16 x 16 gains a quarter on SwiftShader, loses a third on lavapipe, and has more
// sums than a thread of a GPU has registers; the last two take four times as long to compile. Workgroups
// of 16 threads gain a tenth in software and would leave most of a GPU's wavefront empty. Whole mat2x4 in
// place of pairs of vec4 halve the bounds checks. Loading for two products before making either gains 13
// to 20 %; for four it loses up to 40 % on lavapipe. Runs that are the same for four threads come by
// take_run(), of run_each.wgsl or run_by_quad.wgsl.

// 8 rows of 8 elements, a mat2x4 a row.
alias Tile = array<mat2x4f, 8>;

fn add_outer(tile: ptr<function, Tile>, down: mat2x4f, along: mat2x4f) {
  (*tile)[0] += down[0].x * along;
  (*tile)[1] += down[0].y * along;
  (*tile)[2] += down[0].z * along;
  (*tile)[3] += down[0].w * along;
  (*tile)[4] += down[1].x * along;
  (*tile)[5] += down[1].y * along;
  (*tile)[6] += down[1].z * along;
  (*tile)[7] += down[1].w * along;
}

// Two products, one after the other. The sums go through memory half as often.
fn add_outers(
  tile: ptr<function, Tile>,
  down: mat2x4f,
  along: mat2x4f,
  next_down: mat2x4f,
  next_along: mat2x4f,
) {
  (*tile)[0] = (*tile)[0] + down[0].x * along + next_down[0].x * next_along;
  (*tile)[1] = (*tile)[1] + down[0].y * along + next_down[0].y * next_along;
  (*tile)[2] = (*tile)[2] + down[0].z * along + next_down[0].z * next_along;
  (*tile)[3] = (*tile)[3] + down[0].w * along + next_down[0].w * next_along;
  (*tile)[4] = (*tile)[4] + down[1].x * along + next_down[1].x * next_along;
  (*tile)[5] = (*tile)[5] + down[1].y * along + next_down[1].y * next_along;
  (*tile)[6] = (*tile)[6] + down[1].z * along + next_down[1].z * next_along;
  (*tile)[7] = (*tile)[7] + down[1].w * along + next_down[1].w * next_along;
}
