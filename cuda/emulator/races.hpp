// A race in shared memory: two threads touch a byte, one writes it, and no barrier of both is between them.
#pragma once

#include <stdint.h>
#include <vector>

namespace emulated {

struct Runner;

class Races {
  struct Byte {
    uint32_t write_epoch, write_warp_epoch, read_epoch, read_warp_epoch;
    uint16_t writer, reader;
    bool lanes, warps; // several lanes of the reader's warp, several warps read it
  };
  std::vector<Byte> shadow; // one for each byte of shared memory
  uint32_t epoch = 1;       // grows at every barrier and every block
  // An access through a reference may be a read or a write: what it was shows when the thread goes on.
  const char *open = nullptr;
  uint64_t open_bytes = 0;
  uint32_t open_thread = 0;
  char before[64];

  void read_byte(Runner &r, uint64_t at, uint32_t thread);
  void write_byte(Runner &r, uint64_t at, uint32_t thread);
  [[noreturn]] void report(Runner &r, uint64_t at, uint32_t thread, const char *does, const char *did, uint32_t other);

public:
  void next_epoch() { epoch++; }
  void drop() { open = nullptr; }
  void touch(Runner &r, const char *at, uint64_t bytes);
  void read(Runner &r, const char *at, uint64_t bytes);
  void write(Runner &r, const char *at, uint64_t bytes);
  // settle decides about the access that is open.
  void settle(Runner &r);
};

} // namespace emulated
