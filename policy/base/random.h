#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace weighmaster::base {

// The source of chance, passed to everything that needs some: the operating system's in the
// programs, seeded in tests and in the simulation. Key generation and signatures do not use it;
// they draw from OpenSSL. Callable from any thread.
class Random {
 public:
  virtual ~Random() = default;
  virtual void Fill(std::span<std::uint8_t> out) = 0;

  std::uint64_t Next();
  // Uniform in [0, bound); bound > 0.
  std::uint64_t Below(std::uint64_t bound);
};

// SplitMix64: small, fast, and the same on every platform. For tests and simulation only.
// Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators" (OOPSLA 2014).
class SeededRandom final : public Random {
 public:
  explicit SeededRandom(std::uint64_t seed) : state_(seed) {}
  void Fill(std::span<std::uint8_t> out) override;

 private:
  std::uint64_t Step();
  std::uint64_t state_;
};

}  // namespace weighmaster::base
