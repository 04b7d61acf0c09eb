#pragma once

#include <cstddef>
#include <map>
#include <set>
#include <string>

#include "policy/model/sighting.h"

namespace weighmaster::lang {

// Writes a first policy document from what a fleet has today: what is there and was read stays
// allowed, everything new is a warning. For people to read and change; it lints without a word.
class Suggestion {
 public:
  // `name` is the policy's; `list_file` is where approved() will be, beside the document.
  Suggestion(std::string name, std::string list_file)
      : name_(std::move(name)), list_file_(std::move(list_file)) {}

  void Add(const model::Sighting& sighting);

  std::string document() const;
  // The list file: digest and name a line, by digest.
  std::string approved() const;

  std::size_t files() const { return files_; }
  std::size_t approved_files() const { return approved_.size(); }
  // Not approved, because something in them is dangerous, or because they were not read yet.
  std::size_t dangerous() const { return dangerous_; }
  std::size_t unread() const { return unread_; }

 private:
  std::string LicenceRules() const;

  const std::string name_;
  const std::string list_file_;
  std::size_t files_ = 0;
  std::size_t dangerous_ = 0;
  std::size_t unread_ = 0;
  std::map<model::Sha256, std::string> approved_;  // with a name
  std::set<std::string> licences_;                 // of those, lower case
  std::set<std::string> formats_;                  // of those
};

}  // namespace weighmaster::lang
