#include "agent/weights/weights_hasher.h"

#include <gtest/gtest.h>

#include <random>

#include "tests/agent/weights/naive_weights.h"

namespace weighmaster::agent::weights {
namespace {

using formats::FindElementType;
using formats::Tensor;
using formats::TensorMap;
using formats::TensorMapWriter;
using Numbers = std::vector<std::uint64_t>;

TensorMap MapOf(const std::vector<Tensor>& tensors, std::uint64_t file_bytes) {
  TensorMapWriter writer(true);
  writer.Begin();
  for (const Tensor& tensor : tensors) writer.Add(tensor);
  auto map = TensorMap::Decode(std::move(writer).Take(), file_bytes);
  EXPECT_TRUE(map.has_value());
  EXPECT_EQ(map->reason(), model::WeightsReason::kNone);
  return *std::move(map);
}

std::vector<TensorDigest> FinishOver(WeightsHasher hasher, const base::Bytes& file) {
  CountedFile counted{file};
  auto tensors =
      std::move(hasher).Finish([&counted](std::uint64_t offset, std::span<std::uint8_t> out) {
        return counted.Read(offset, out);
      });
  EXPECT_TRUE(tensors.has_value());
  return *std::move(tensors);
}

model::Sha256 HashWhole(const std::vector<Tensor>& tensors, const base::Bytes& file) {
  WeightsHasher hasher(MapOf(tensors, file.size()));
  hasher.Update(file);
  return WeightsDigestOf(FinishOver(std::move(hasher), file));
}

// A model of random tensors, in memory and nowhere else.
struct Model {
  struct Weights {
    std::string_view type;
    Numbers dims;
    base::Bytes elements;
  };
  std::vector<Weights> tensors;

  model::Sha256 Digest() const {
    std::vector<TensorDigest> digests;
    for (const Weights& tensor : tensors) {
      digests.push_back(NaiveTensorDigest(tensor.type, tensor.dims, tensor.elements));
    }
    return NaiveWeightsDigest(digests);
  }
};

class Packer {
 public:
  explicit Packer(std::uint32_t seed) : random_(seed) {}

  std::uint64_t Below(std::uint64_t most) { return random_() % most; }

  Model MakeModel() {
    constexpr std::string_view kTypes[] = {"BOOL", "F16", "BF16", "F32", "C64", "Q8_0"};
    Model model;
    const std::size_t count = 1 + Below(8);
    for (std::size_t i = 0; i < count; ++i) {
      Model::Weights tensor;
      tensor.type = kTypes[Below(6)];
      const bool blocks = tensor.type == "Q8_0";
      const std::size_t rank = blocks ? 1 + Below(3) : Below(5);
      for (std::size_t k = 0; k < rank; ++k) tensor.dims.push_back(1 + Below(5));
      if (blocks) tensor.dims.back() = 32 * (1 + Below(3));
      tensor.elements.resize(
          static_cast<std::size_t>(*BytesOf(*FindElementType(tensor.type), tensor.dims)));
      for (std::uint8_t& byte : tensor.elements) byte = static_cast<std::uint8_t>(random_());
      model.tensors.push_back(std::move(tensor));
    }
    return model;
  }

  // The tensors in any order, with anything between them, some under two names, some with their
  // axes exchanged, some in the other byte order; in one file or another.
  void Pack(Model model, base::Bytes& file, std::vector<Tensor>& tensors) {
    std::shuffle(model.tensors.begin(), model.tensors.end(), random_);
    for (const Model::Weights& weights : model.tensors) {
      for (std::uint64_t i = Below(40); i > 0; --i) file.push_back(0xEE);
      Tensor tensor{FindElementType(weights.type), weights.dims, {}, file.size(), false};
      if (Below(3) == 0) tensor.dims.insert(tensor.dims.begin(), Below(3), 1);
      base::Bytes stored = weights.elements;
      const bool may_turn = tensor.type->word_bytes != 0;
      if (may_turn && Below(3) == 0) Exchange(tensor, stored);
      if (may_turn && Below(3) == 0) TurnAround(tensor, stored);
      file.insert(file.end(), stored.begin(), stored.end());
      tensors.push_back(tensor);
      if (Below(4) == 0) tensors.push_back(tensor);
    }
    for (std::uint64_t i = Below(40); i > 0; --i) file.push_back(0xEE);
    std::shuffle(tensors.begin(), tensors.end(), random_);
  }

 private:
  // Stores the first axis innermost.
  static void Exchange(Tensor& tensor, base::Bytes& stored) {
    if (tensor.dims.size() < 2) return;
    const std::size_t element = tensor.type->block_bytes;
    const auto rows = static_cast<std::size_t>(tensor.dims[0]);
    const std::size_t columns = stored.size() / element / rows;
    tensor.strides.assign(tensor.dims.size(), rows);
    for (std::size_t i = tensor.dims.size() - 1; i-- > 1;) {
      tensor.strides[i] = tensor.strides[i + 1] * tensor.dims[i + 1];
    }
    tensor.strides[0] = 1;
    base::Bytes moved(stored.size());
    for (std::size_t row = 0; row < rows; ++row) {
      for (std::size_t column = 0; column < columns; ++column) {
        std::copy_n(
            stored.begin() + static_cast<std::ptrdiff_t>((row * columns + column) * element),
            element, moved.begin() + static_cast<std::ptrdiff_t>((column * rows + row) * element));
      }
    }
    stored = moved;
  }

  static void TurnAround(Tensor& tensor, base::Bytes& stored) {
    tensor.big_endian = true;
    const auto word = static_cast<std::ptrdiff_t>(tensor.type->word_bytes);
    for (auto at = stored.begin(); at != stored.end(); at += word) std::reverse(at, at + word);
  }

  std::mt19937 random_;
};

TEST(WeightsHasher, GivesTheExamplesOfTheSpecification) {
  base::Bytes file;
  for (const std::uint32_t bits : {0x3F800000U, 0x40000000U, 0x40400000U, 0x40800000U}) {
    AppendNumber(file, bits, 4);
  }
  AppendNumber(file, 7, 8);
  const Tensor matrix{FindElementType("F32"), {2, 2}, {}, 0, false};
  const Tensor scalar{FindElementType("I64"), {}, {}, 16, false};
  EXPECT_EQ(HashWhole({matrix}, file).ToHex(),
            "5f962f899d4623c5f7780db6c8563eb9abe34b4da358977ec3501d05fc345d9a");
  EXPECT_EQ(HashWhole({matrix, scalar}, file).ToHex(),
            "c0dc8d9a2bd71236ab1744c6975d71b698664537f669be06df70e82a20e7f924");
}

TEST(WeightsHasher, GivesOneDigestForEveryPackingOfAModel) {
  Packer packer(3);
  for (int i = 0; i < 300; ++i) {
    const Model model = packer.MakeModel();
    base::Bytes file;
    std::vector<Tensor> tensors;
    packer.Pack(model, file, tensors);
    EXPECT_EQ(HashWhole(tensors, file), model.Digest()) << "model " << i;
  }
}

TEST(WeightsHasher, GivesOneDigestForEverySplitOfAModel) {
  Packer packer(4);
  for (int i = 0; i < 100; ++i) {
    const Model model = packer.MakeModel();
    std::vector<TensorDigest> all;
    const std::size_t cut = packer.Below(model.tensors.size() + 1);
    const auto middle = model.tensors.begin() + static_cast<std::ptrdiff_t>(cut);
    for (const Model& shard :
         {Model{{model.tensors.begin(), middle}}, Model{{middle, model.tensors.end()}}}) {
      if (shard.tensors.empty()) continue;
      base::Bytes file;
      std::vector<Tensor> tensors;
      packer.Pack(shard, file, tensors);
      WeightsHasher hasher(MapOf(tensors, file.size()));
      hasher.Update(file);
      const auto digests = FinishOver(std::move(hasher), file);
      all.insert(all.end(), digests.begin(), digests.end());
    }
    EXPECT_EQ(WeightsDigestOf(all), model.Digest());
  }
}

TEST(WeightsHasher, GivesAnotherDigestForAnyOtherModel) {
  Packer packer(5);
  for (int i = 0; i < 300; ++i) {
    const Model model = packer.MakeModel();
    Model other = model;
    Model::Weights& tensor = other.tensors[packer.Below(other.tensors.size())];
    switch (packer.Below(4)) {
      case 0:
        tensor.elements[packer.Below(tensor.elements.size())] ^=
            static_cast<std::uint8_t>(1U << packer.Below(8));
        break;
      case 1:
        tensor.type = tensor.type == "F16" ? "BF16" : "F16";
        break;
      case 2:
        tensor.dims.push_back(1);
        if (tensor.dims.size() == 1) tensor.dims.push_back(2);
        break;
      default:
        other.tensors.push_back(other.tensors.front());
    }
    const bool only_ones =
        other.tensors.size() == model.tensors.size() &&
        std::ranges::all_of(tensor.dims, [](auto extent) { return extent == 1; });
    if (only_ones) continue;
    EXPECT_NE(other.Digest(), model.Digest());
  }
}

TEST(WeightsHasher, GoesOnFromAnyPlaceAndInPiecesOfAnySize) {
  Packer packer(6);
  for (int i = 0; i < 60; ++i) {
    const Model model = packer.MakeModel();
    base::Bytes file;
    std::vector<Tensor> tensors;
    packer.Pack(model, file, tensors);
    WeightsHasher hasher(MapOf(tensors, file.size()));
    while (hasher.size() < file.size()) {
      const auto left = static_cast<std::size_t>(file.size() - hasher.size());
      const std::size_t piece = std::min<std::size_t>(left, 1 + packer.Below(100));
      hasher.Update(base::ByteView(file).subspan(file.size() - left, piece));
      auto restored = WeightsHasher::Restore(MapOf(tensors, file.size()), hasher.Serialise());
      ASSERT_TRUE(restored.has_value());
      hasher = *std::move(restored);
    }
    EXPECT_EQ(WeightsDigestOf(FinishOver(std::move(hasher), file)), model.Digest());
  }
}

TEST(WeightsHasher, RefusesAStateThatIsNotOfTheseTensors) {
  const base::Bytes file(100);
  const Tensor first{FindElementType("F32"), {1}, {}, 0, false};
  const Tensor second{FindElementType("F32"), {1}, {}, 4, false};
  const Tensor third{FindElementType("F32"), {10}, {}, 8, false};
  WeightsHasher hasher(MapOf({first, second, third}, file.size()));
  hasher.Update(base::ByteView(file).first(20));
  const base::Bytes state = hasher.Serialise();
  const auto restores = [&](base::ByteView bytes, const Tensor& last) {
    return WeightsHasher::Restore(MapOf({first, second, last}, file.size()), bytes).has_value();
  };
  EXPECT_TRUE(restores(state, third));
  Tensor other = third;
  other.begin = 12;
  EXPECT_FALSE(restores(state, other));
  other = third;
  other.type = FindElementType("I32");
  EXPECT_FALSE(restores(state, other));
  for (std::size_t i = 0; i < state.size(); ++i) {
    EXPECT_FALSE(restores(base::ByteView(state).first(i), third)) << i;
  }
  base::Bytes longer = state;
  longer.push_back(0);
  EXPECT_FALSE(restores(longer, third));
  base::Bytes further = state;
  further[1 + model::Sha256::kBytes] += 4;  // how far it says that it has come
  EXPECT_FALSE(restores(further, third));
}

TEST(WeightsHasher, EndsWithTheErrorOfAReadThatFails) {
  const base::Bytes file(100);
  const Tensor across{FindElementType("F32"), {4, 4}, {1, 4}, 0, false};
  WeightsHasher hasher(MapOf({across}, file.size()));
  hasher.Update(file);
  const auto tensors =
      std::move(hasher).Finish([](std::uint64_t, std::span<std::uint8_t>) -> base::Status {
        return base::DataLoss("gone");
      });
  ASSERT_FALSE(tensors.has_value());
  EXPECT_EQ(tensors.error().code(), base::ErrorCode::kDataLoss);
}

TEST(WeightsHasher, DoesNotReadForAPriceWithoutProportion) {
  constexpr std::uint64_t kFile = 4ULL << 30;
  // Each element of each has to be read by itself, in a page of its own.
  const auto reason = [](std::uint64_t count) {
    std::vector<Tensor> combs;
    for (std::uint64_t i = 0; i < count; ++i) {
      combs.push_back({FindElementType("U8"), {65'000}, {65'537}, i, false});
    }
    return CheckWork(MapOf(combs, kFile), kFile);
  };
  EXPECT_EQ(reason(20), model::WeightsReason::kNone);
  EXPECT_EQ(reason(40), model::WeightsReason::kRepeats);
}

}  // namespace
}  // namespace weighmaster::agent::weights
