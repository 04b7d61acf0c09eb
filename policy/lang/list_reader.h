#pragma once

#include <string>
#include <string_view>

#include "policy/lang/document.h"
#include "policy/lang/yaml/diagnostics.h"
#include "policy/lang/yaml/tree.h"

namespace weighmaster::lang {

// Reads `lists` into the document: digests written there, and those of the files that it names.
class ListReader {
 public:
  // All must outlive it. `document.files` holds the document's own name already.
  ListReader(const Reporter& report, const FileReader& read_file, Document& document)
      : report_(report), read_file_(read_file), document_(document) {}

  void Read(const YamlNode& lists);

 private:
  void ReadEntry(model::ListKind kind, const YamlNode& node);
  void ReadMap(model::ListKind kind, const YamlNode& node);
  void ReadFile(model::ListKind kind, const YamlNode& path_node);
  void ReadLines(model::ListKind kind, std::string_view text, const Reporter& report);
  bool Add(model::ListKind kind, std::string_view text, Location at, const Reporter& report);

  const Reporter& report_;
  const FileReader& read_file_;
  Document& document_;
};

}  // namespace weighmaster::lang
