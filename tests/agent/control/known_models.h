#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "agent/control/answerer.h"
#include "weighmaster/local/v1/control.pb.h"

namespace weighmaster::agent::control {

// An agent that knows a few models by path and owner.
class KnownModels final : public Answerer {
 public:
  void Add(const std::string& path, std::uint32_t owner) { owners_[path] = owner; }
  void FailWith(base::Error error) { failure_ = base::Status(std::move(error)); }
  void MakeStatusTooLong() { coverage_entries_ = 40'000; }

  base::Status Status(local::v1::StatusAnswer& answer) override {
    WM_RETURN_IF_ERROR(failure_);
    answer.set_sightings(owners_.size());
    for (int i = 0; i < coverage_entries_; ++i)
      answer.add_coverage()->set_detail("thirty-two bytes of one's detail");
    return {};
  }

  base::Status Why(const model::Path& path, local::v1::WhyAnswer& answer) override {
    WM_RETURN_IF_ERROR(failure_);
    const auto owner = owners_.find(path.bytes);
    if (owner == owners_.end()) return {};
    answer.set_known(true);
    answer.mutable_sighting()->mutable_path()->set_value(path.bytes);
    answer.mutable_sighting()->mutable_owner()->set_id(std::to_string(owner->second));
    answer.mutable_verdict()->set_rule("no-pickles");
    return {};
  }

 private:
  std::map<std::string, std::uint32_t> owners_;
  base::Status failure_;
  int coverage_entries_ = 0;
};

}  // namespace weighmaster::agent::control
