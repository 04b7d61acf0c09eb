#include "agent/formats/packages/skops.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "agent/formats/grammars/json_reader.h"
#include "agent/formats/pickle/globals.h"

namespace weighmaster::agent::formats {
namespace {

constexpr std::string_view kSchema = "schema.json";
constexpr std::size_t kHeadBytes = 4 * base::limits::kKiB;

// What skops itself trusts beside what checkpoints are made of. Those below that do something are
// graded as in a pickle.
constexpr std::string_view kTrusted[] = {"builtins.", "numpy.",       "scipy.",
                                         "sklearn.",  "collections.", "functools.partial"};

bool IsSkops(ZipPackage& package) {
  const ZipMember* const schema = package.Find(kSchema);
  if (schema == nullptr) return false;
  const auto head = package.Read(*schema, kHeadBytes);
  if (!head.has_value()) return false;
  const std::string_view text = base::AsText(*head);
  return text.starts_with("{") && text.find("\"__class__\"") != text.npos &&
         text.find("\"__module__\"") != text.npos;
}

// Goes over a schema, in which every object that is to be made names its class.
class SchemaReader {
 public:
  SchemaReader(Cursor& cursor, RiskList& risks, std::string place)
      : json_(cursor), budget_(cursor.budget()), risks_(risks), place_(std::move(place)) {}

  void Read();
  // Of the outermost object.
  const std::string& class_name() const { return class_name_; }

 private:
  struct Named {
    std::string module;
    std::string name;
    std::string function;  // of a function: its own name, and the path of its module
    std::string module_path;
  };
  void EndObject(const Named& named);
  void Grade(std::string_view module, std::string_view name);

  JsonReader json_;
  WorkBudget& budget_;
  RiskList& risks_;
  const std::string place_;
  std::string class_name_;
};

void SchemaReader::Read() {
  std::vector<Named> open;  // no more than JsonReader::kMaxDepth
  while (true) {
    const JsonToken token = json_.Next();
    if (token == JsonToken::kEnd) return;
    if (token == JsonToken::kBroken) {
      risks_.Add(RiskId::kOpaque,
                 place_ + "JSON that cannot be read at " + AtOffset(json_.offset()));
      return;
    }
    if (token == JsonToken::kObject) open.emplace_back();
    if (token == JsonToken::kEndObject) {
      EndObject(open.back());
      if (open.size() == 1) class_name_ = open.back().name;
      open.pop_back();
    }
    if (token != JsonToken::kKey) continue;
    const std::string key = json_.text();
    std::string* const kept = key == "__module__"    ? &open.back().module
                              : key == "__class__"   ? &open.back().name
                              : key == "function"    ? &open.back().function
                              : key == "module_path" ? &open.back().module_path
                                                     : nullptr;
    if (kept == nullptr) continue;
    const JsonToken value = json_.Next();
    if (value == JsonToken::kText) {
      *kept = json_.text();
    } else if (value == JsonToken::kObject) {
      open.emplace_back();
    }
  }
}

void SchemaReader::EndObject(const Named& named) {
  if (!named.name.empty()) Grade(named.module, named.name);
  if (!named.function.empty()) Grade(named.module_path, named.function);
}

void SchemaReader::Grade(std::string_view module, std::string_view name) {
  budget_.Take(work::kImport);
  const std::string whole = std::string(module) + "." + std::string(name);
  const GlobalGrade grade = GradeGlobal(module, name);
  if (grade == GlobalGrade::kSafe) return;
  budget_.Take(work::kRisk);
  if (grade == GlobalGrade::kExecutes) {
    risks_.Add(RiskId::kConfigNamesCode, place_ + whole, model::Severity::kCritical);
  } else if (grade == GlobalGrade::kReaches) {
    risks_.Add(RiskId::kConfigNamesCode, place_ + whole);
  } else if (std::none_of(std::begin(kTrusted), std::end(kTrusted),
                          [&](std::string_view known) { return whole.starts_with(known); })) {
    risks_.Add(RiskId::kConfigNamesCode, place_ + whole, model::Severity::kMedium);
  }
}

void TellSkops(ZipPackage& package, model::Facts& facts, TensorMapWriter& /*map*/) {
  const ZipMember& schema = *package.Find(kSchema);
  const auto content = package.Read(schema, base::limits::kMaxInflatedBytes);
  if (!content.has_value()) return;
  MemorySource source(*content);
  Cursor cursor(source, package.budget());
  SchemaReader reader(cursor, package.risks(), package.place() + schema.name + ": ");
  reader.Read();
  facts.architecture = CleanText(reader.class_name());
}

}  // namespace

constinit const ZipKind kSkops{model::Format::kSkops, IsSkops, TellSkops};

}  // namespace weighmaster::agent::formats
