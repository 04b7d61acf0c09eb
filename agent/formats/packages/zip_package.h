#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/formats/archive/zip.h"
#include "agent/formats/pickle/walk.h"
#include "agent/formats/reading/risks.h"
#include "policy/base/bytes.h"
#include "policy/model/artifact.h"

namespace weighmaster::agent::formats {

// One zip archive, and what is looked for in each of its members whatever the archive is: names
// that escape or stand twice, native code, pickles, arrays of objects, archives inside. Source and
// budget must outlive it.
class ZipPackage {
 public:
  // A pickle among the members, and the tensors that it rebuilds.
  struct Pickle {
    const ZipMember* member = nullptr;
    PickleTensors tensors;
  };

  // An array among the members.
  struct Array {
    const ZipMember* member = nullptr;
    PickleTensors counts;
  };

  // Lists the members. `place` begins each evidence: "model.pt: " of an archive that lies in
  // another, so many deep. Where tensors are stored is gathered if it is wanted.
  ZipPackage(ByteSource& source, WorkBudget& budget, bool wants_tensors, std::string place = {},
             int depth = 0);

  const std::vector<ZipMember>& members() const { return listing_.members; }
  bool complete() const { return listing_.complete; }
  ByteSource& source() { return source_; }
  WorkBudget& budget() { return budget_; }
  const std::string& place() const { return place_; }
  RiskList& risks() { return risks_; }

  // By either of its names; null: there is none.
  const ZipMember* Find(std::string_view name) const;
  // By its name below any folder, or without one: archives of PyTorch have one folder around all of
  // their members, whose name may be anything.
  struct InFolder {
    const ZipMember* member = nullptr;
    std::string folder;  // with its '/'; "": none
  };
  InFolder FindInFolder(std::string_view name) const;
  // The first `most` bytes; nothing where they cannot be had.
  std::optional<base::Bytes> Read(const ZipMember& member, std::size_t most);

  // Calls `read` with a member's content, as it lies in the source or, where it is packed, inflated
  // up to limits::kMaxInflatedBytes; never where it cannot be had.
  void WithContent(const ZipMember& member,
                   const std::function<void(ByteSource& content, bool is_packed)>& read);

  // Looks at every member. `is_known`: the archive is of a kind whose loader reads every `.pkl`, so
  // one that does not look like a pickle is walked as well.
  void Examine(bool is_known);
  // Of what Examine() found. A danger is a pickle whose risks are high or worse.
  bool holds_danger() const { return holds_danger_; }
  std::vector<Pickle>& pickles() { return pickles_; }
  const std::vector<Array>& arrays() const { return arrays_; }
  // Those of all pickles, also in archives inside.
  PickleTensors& tensors() { return tensors_; }
  // Adds tensors of a member that are not among them yet.
  void Count(const PickleTensors& tensors);

 private:
  void CheckNames();
  void ExamineMember(const ZipMember& member, bool is_known);
  void WalkPickle(const ZipMember& member, bool must_be_pickle);
  void LookInside(const ZipMember& member);
  void ReadArray(const ZipMember& member);
  std::string PlaceOf(const ZipMember& member) const { return place_ + member.name + ": "; }

  ByteSource& source_;
  WorkBudget& budget_;
  const bool wants_tensors_;
  const std::string place_;
  const int depth_;
  RiskList risks_;
  ZipListing listing_;
  std::map<std::string_view, const ZipMember*> by_name_;
  std::vector<Pickle> pickles_;
  std::vector<Array> arrays_;
  bool holds_danger_ = false;
  PickleTensors tensors_;
};

// One kind of archive, which its members show.
struct ZipKind {
  model::Format format = model::Format::kUnknown;
  // By the names of members, and by what begins one of them where names are not enough.
  bool (*is)(ZipPackage& package) = nullptr;
  // What is special about the kind, after every member was looked at.
  void (*tell)(ZipPackage& package, model::Facts& facts, TensorMapWriter& map) = nullptr;
};

// The first of all kinds that it is of; null: none.
const ZipKind* KindOf(ZipPackage& package);

// What Examine() and the kind make of an archive; kUnknown where it is none of ours.
model::Facts FactsOf(ZipPackage& package, TensorMapWriter& map);

}  // namespace weighmaster::agent::formats
