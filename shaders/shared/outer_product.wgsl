// Products of 8 numbers with 8 others, added to what a thread holds in registers: 64 multiply-adds for two
// loads of 32 bytes. Appended to the kernels that use it.
//
// 8 x 8 is what pays everywhere it was measured. Tiles of 4 x 16 and 16 x 4 lose a quarter. 16 x 8 and
// 16 x 16 win a tenth on SwiftShader, lose a third on lavapipe, and take 2 to 5 times as long to compile;
// 256 sums are more than a thread of a GPU has registers for. Whole mat2x4 in place of pairs of vec4 halve
// the bounds checks of a load.

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
