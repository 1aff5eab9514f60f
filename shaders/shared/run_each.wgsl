// 8 numbers that the threads of a quad share, loaded by each of them. The kernel that this is appended to
// says where they are, by shared_run().

fn take_run(at: u32, lane: u32) -> mat2x4f {
  return shared_run(at);
}
