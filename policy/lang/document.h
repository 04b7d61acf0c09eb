#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policy/base/result.h"
#include "policy/base/time.h"
#include "policy/lang/yaml/diagnostics.h"
#include "policy/model/lists/digest_lists.h"
#include "policy/model/rules.h"
#include "policy/model/settings.h"

namespace weighmaster::lang {

// Gives the whole text of a list file that the document names. The path is relative to the
// document's folder, '/' between names, and never leads out of it. This room does no I/O; the
// caller decides what a path is (files, a bundle of test data, nothing at all), refuses links that
// lead out of the folder, and need not read more than limits::kMaxListFileBytes.
using FileReader = std::function<base::Result<std::string>(const std::string& path)>;

struct ListedDigest {
  model::Sha256 digest;  // of the file, or of its weights
  model::ListKind kind = model::ListKind::kApproved;
  std::uint32_t file = 0;  // in Document::files
  Location at;
};

// What the document says beside a digest, for people; it does not travel to agents.
struct DigestNote {
  model::Sha256 digest;
  std::string name;
  std::string reason;
};

struct DocumentRule {
  model::Rule rule;
  Location at;
  std::vector<Location> nots;  // of each `not` in `rule.when`, in the order of the document
  bool says_when_unknown = false;
};

// A policy document, docs/formats/policy-document.md, as it was read. A value.
struct Document {
  std::vector<std::string> files;  // the document itself, then its list files
  std::string name;
  std::vector<ListedDigest> digests;  // in the order of the document, repeats included
  std::vector<DigestNote> notes;
  std::vector<DocumentRule> rules;
  model::Outcome default_outcome = model::Outcome::kAllow;
  std::string default_message;
  std::optional<model::Severity> default_severity;
  std::string default_link;
  model::Mode mode = model::Mode::kObserve;
  model::Settings settings;
};

// A document and everything that is to be said about it. With errors the document is what could be
// read and is not to be compiled.
struct Reading {
  Document document;
  Diagnostics diagnostics;
};

// Parses and lints. `file` is the document's name in diagnostics. `read_file` may be empty: list
// files can't be read then, and naming one is an error. What expired before `now` is reported.
// Never fails otherwise than by diagnostics.
Reading ReadDocument(std::string_view file, std::string_view text, const FileReader& read_file,
                     base::WallTime now);

}  // namespace weighmaster::lang
