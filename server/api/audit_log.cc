#include "server/api/audit_log.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include <string_view>
#include <utility>
#include <vector>

#include "policy/base/bytes.h"
#include "policy/base/limits.h"
#include "server/store/ask.h"
#include "third_party/spdlog/log.h"
#include "weighmaster/v1/options.pb.h"

namespace weighmaster::server::api {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
namespace limits = base::limits;

constexpr std::size_t kLongestText = 128;
constexpr int kDeepest = 3;

std::string TextValue(const std::string& text) {
  if (text.size() > kLongestText) return std::to_string(text.size()) + " bytes";
  return "\"" + base::EscapeForDisplay(text) + "\"";
}

// No more than a summary has room for.
std::string Texts(const Message& message, const FieldDescriptor& field) {
  const google::protobuf::Reflection& reflection = *message.GetReflection();
  std::string texts;
  const int size = reflection.FieldSize(message, &field);
  for (int i = 0; i < size && texts.size() <= limits::kMaxAuditSummaryBytes; ++i) {
    texts += (i == 0 ? "" : " ") + TextValue(reflection.GetRepeatedString(message, &field, i));
  }
  return "[" + texts + "]";
}

void AddFields(const Message& message, int depth, std::string& out);

std::string Value(const Message& message, const FieldDescriptor& field, int depth) {
  const google::protobuf::Reflection& reflection = *message.GetReflection();
  if (field.options().GetExtension(v1::secret)) return "secret";
  if (field.is_repeated() && field.type() == FieldDescriptor::TYPE_STRING) {
    return Texts(message, field);
  }
  if (field.is_repeated()) {
    return std::to_string(reflection.FieldSize(message, &field)) + " of them";
  }
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return std::to_string(reflection.GetInt32(message, &field));
    case FieldDescriptor::CPPTYPE_INT64:
      return std::to_string(reflection.GetInt64(message, &field));
    case FieldDescriptor::CPPTYPE_UINT32:
      return std::to_string(reflection.GetUInt32(message, &field));
    case FieldDescriptor::CPPTYPE_UINT64:
      return std::to_string(reflection.GetUInt64(message, &field));
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return std::to_string(reflection.GetDouble(message, &field));
    case FieldDescriptor::CPPTYPE_FLOAT:
      return std::to_string(reflection.GetFloat(message, &field));
    case FieldDescriptor::CPPTYPE_BOOL:
      return reflection.GetBool(message, &field) ? "true" : "false";
    case FieldDescriptor::CPPTYPE_ENUM:
      return reflection.GetEnum(message, &field)->name();
    case FieldDescriptor::CPPTYPE_STRING: {
      const std::string text = reflection.GetString(message, &field);
      const bool is_text = field.type() == FieldDescriptor::TYPE_STRING;
      return is_text ? TextValue(text) : std::to_string(text.size()) + " bytes";
    }
    case FieldDescriptor::CPPTYPE_MESSAGE: {
      std::string inner;
      AddFields(reflection.GetMessage(message, &field), depth + 1, inner);
      return "{" + inner + "}";
    }
  }
  return "";
}

void AddFields(const Message& message, int depth, std::string& out) {
  if (depth > kDeepest) return;
  std::vector<const FieldDescriptor*> fields;
  message.GetReflection()->ListFields(message, &fields);
  for (const FieldDescriptor* const field : fields) {
    if (out.size() > limits::kMaxAuditSummaryBytes) return;
    if (!out.empty()) out += ' ';
    out += field->name() + "=" + Value(message, *field, depth);
  }
}

// "row 8: ada (token 00ff…): RevokeEndpoint done, begun in row 7".
std::string LineOf(const wire::AuditRow& row, std::uint64_t number) {
  std::string line = "row " + std::to_string(number) + ": " + row.token_name + " (token " +
                     row.token_id.ToHex() + "): " + row.method + " " +
                     std::string(wire::AuditOutcomeName(row.outcome));
  if (row.begun_number > 0) line += ", begun in row " + std::to_string(row.begun_number);
  if (!row.summary.empty()) line += ": " + row.summary;
  return line;
}

}  // namespace

std::string Summarise(const Message& message) {
  std::string summary;
  AddFields(message, 1, summary);
  return base::CutText(summary, limits::kMaxAuditSummaryBytes);
}

AuditLog::AuditLog(base::Loop& loop, const base::Clock& clock, base::Executor& writer,
                   store::Store& store)
    : loop_(loop),
      clock_(clock),
      writer_(writer),
      store_(store),
      refusals_(limits::kAuditRefusalInterval, limits::kAuditRefusalBurst,
                limits::kMaxAdminTokens) {}

void AuditLog::Begun(const identity::Caller& caller, const Method& method, const Message& request,
                     std::function<void(base::Result<std::uint64_t>)> reply) {
  wire::AuditRow row = RowOf(caller, method, wire::AuditOutcome::kBegun);
  row.summary = Summarise(request);
  Append(std::move(row), std::move(reply));
}

void AuditLog::Ended(const identity::Caller& caller, const Method& method,
                     std::uint64_t begun_number, const Outcome& outcome,
                     std::function<void(base::Status)> reply) {
  const bool done = outcome.has_value();
  wire::AuditRow row =
      RowOf(caller, method, done ? wire::AuditOutcome::kDone : wire::AuditOutcome::kFailed);
  row.begun_number = begun_number;
  if (done) {
    row.summary = Summarise(**outcome);
  } else {
    row.code = static_cast<std::uint32_t>(outcome.error().code());
    row.summary = base::CutText(base::EscapeForDisplay(outcome.error().message()),
                                limits::kMaxAuditSummaryBytes);
  }
  Append(std::move(row), [reply = std::move(reply)](base::Result<std::uint64_t> written) {
    if (!written.has_value()) return reply(std::move(written).error());
    reply({});
  });
}

void AuditLog::Refused(const identity::Caller& caller, const Method& method) {
  const base::Duration now = clock_.SinceBoot().since_boot;
  if (refusals_.Take(base::AsText(caller.token.id.view()), now) > base::Duration(0)) return;
  wire::AuditRow row = RowOf(caller, method, wire::AuditOutcome::kRefused);
  row.code = static_cast<std::uint32_t>(base::ErrorCode::kPermissionDenied);
  Append(std::move(row), [](const base::Result<std::uint64_t>&) {});
}

wire::AuditRow AuditLog::RowOf(const identity::Caller& caller, const Method& method,
                               wire::AuditOutcome outcome) const {
  wire::AuditRow row;
  row.time = clock_.Now();
  row.token_id = caller.token.id;
  row.token_name = caller.token.name;
  row.method = method.name;
  row.outcome = outcome;
  return row;
}

void AuditLog::Append(wire::AuditRow row, std::function<void(base::Result<std::uint64_t>)> reply) {
  store::Ask(
      writer_, loop_, alive_, [&store = store_, row] { return store.AppendAudit(row); },
      [row, reply = std::move(reply)](base::Result<std::uint64_t> number) {
        if (number.has_value()) logging::Info("audit", LineOf(row, *number));
        reply(std::move(number));
      });
}

}  // namespace weighmaster::server::api
