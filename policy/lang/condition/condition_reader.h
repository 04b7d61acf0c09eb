#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "policy/engine/fields.h"
#include "policy/lang/yaml/diagnostics.h"
#include "policy/lang/yaml/tree.h"
#include "policy/model/rules.h"

namespace weighmaster::lang {

// Reads one `when`. Reports through the reporter, which must outlive it.
class ConditionReader {
 public:
  explicit ConditionReader(const Reporter& report) : report_(report) {}

  // Nothing when anything in it was wrong.
  std::optional<model::Condition> Read(const YamlNode& node);

  // The place of each `not` read so far, in the order of the document.
  const std::vector<Location>& nots() const { return nots_; }

 private:
  std::optional<model::Condition> ReadAt(const YamlNode& node, std::size_t depth);
  std::optional<model::Condition> ReadEntry(const YamlEntry& entry, std::size_t depth);
  std::optional<model::Condition> ReadList(const YamlEntry& entry, model::Condition::Kind kind,
                                           std::size_t depth);
  std::optional<model::Condition> ReadNot(const YamlEntry& entry, std::size_t depth);
  std::optional<model::Condition> ReadField(const YamlEntry& entry, std::size_t depth);
  std::optional<model::FieldTest> ReadTest(const engine::Field& field, const YamlEntry& entry);
  bool ReadNumber(const engine::Field& field, const YamlNode& node, model::FieldTest& test);
  bool ReadSeverityNumber(const engine::Field& field, const YamlNode& node, model::FieldTest& test);
  bool ReadOperands(const engine::Field& field, const YamlNode& node, model::FieldTest& test);
  bool AddText(const engine::Field& field, const YamlNode& node, model::FieldTest& test);
  bool CheckValue(const engine::Field& field, const YamlNode& node, const std::string& text);
  void WarnOfNever(const engine::Field& field, model::Operator op, const YamlNode& node,
                   const std::string& text);
  bool FitsDepth(const YamlNode& node, std::size_t depth);

  const Reporter& report_;
  std::vector<Location> nots_;
};

}  // namespace weighmaster::lang
