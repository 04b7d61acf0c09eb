#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "agent/formats/archive/tar.h"
#include "agent/formats/reading/byte_source.h"
#include "agent/formats/reading/cursor.h"
#include "agent/formats/reading/file_ends.h"
#include "agent/formats/reading/risks.h"
#include "agent/formats/reading/work_budget.h"
#include "agent/formats/tensors/tensor_map.h"
#include "policy/model/artifact.h"

namespace weighmaster::agent::formats {

// One tar archive, and what is looked for in its members whatever kind of model it is. Source and
// budget must outlive it.
class TarPackage {
 public:
  // Lists the members. `is_cut`: the source holds only the beginning of the archive, so that its
  // end is not held against it.
  TarPackage(ByteSource& source, WorkBudget& budget, bool is_cut);

  const std::vector<TarMember>& members() const { return listing_.members; }
  WorkBudget& budget() { return budget_; }
  RiskList& risks() { return risks_; }
  bool is_cut() const { return is_cut_; }

  // A member's name without the parts that lead nowhere: "./a//b" is "a/b".
  static std::string PlainName(const TarMember& member);
  // By its plain name; null: there is none.
  const TarMember* Find(std::string_view plain_name) const;
  Cursor CursorOf(const TarMember& member) const;

  // Names that escape or stand twice, and whether all of it was looked at.
  void CheckListing();
  // Looks into a file: a pickle is walked, of a zip archive every member looked at.
  // `must_be_pickle`: the kind's loader reads it as one, whatever it begins like.
  void Examine(const TarMember& member, bool must_be_pickle);
  // What was counted in a part of the archive goes into the facts of the whole.
  void Count(const model::Facts& part);
  void TellTensors(model::Facts& facts) const;

 private:
  // Risks of a member, of which the archive may hold only a part.
  void AddOfMember(const TarMember& member, std::vector<model::Risk> risks);
  bool IsCut(const TarMember& member) const;

  ByteSource& source_;
  WorkBudget& budget_;
  const bool is_cut_;
  RiskList risks_;
  TarListing listing_;
  std::map<std::string, const TarMember*, std::less<>> by_name_;
  model::Facts counted_;
  std::uint64_t most_parameters_ = 0;  // of one part
};

// One kind of archive, which its members show.
struct TarKind {
  model::Format format = model::Format::kUnknown;
  bool (*is)(TarPackage& package) = nullptr;
  // Looks at the members and adds what is special about the kind.
  void (*tell)(TarPackage& package, model::Facts& facts) = nullptr;
};

// A tar archive, plain or through gzip, of whichever kind its members show. Any other, a layer of a
// container or somebody's backup, is no model: kUnknown.
model::Facts ParseTar(ByteSource& source, WorkBudget& budget, TensorMapWriter& tensors);

}  // namespace weighmaster::agent::formats
