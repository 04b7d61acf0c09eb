#include "tests/server/store/sqlite/list_naive.h"

#include <algorithm>
#include <iterator>
#include <sstream>
#include <utility>

#include "policy/base/bytes.h"
#include "proto/wire/convert.h"

namespace weighmaster::server::store {
namespace {

using query::Comparison;
using query::Field;
using query::FieldType;
using query::Filter;
using query::Value;

Value Num(std::uint64_t number) { return static_cast<std::int64_t>(number); }
template <typename Enum>
Value OfEnum(Enum value) {
  return static_cast<std::int64_t>(value);
}
Value OfTime(base::WallTime time) { return base::ToMicroseconds(time); }
template <typename Bytes>
Value OfBytes(const Bytes& bytes) {
  return std::string(base::AsText(bytes.view()));
}

// A text or set that is lacking is the empty one.
std::optional<Value> ValueOf(const NaiveRow& row, const Field& field) {
  const auto found = row.values.find(field.name);
  if (found != row.values.end()) return found->second;
  if (field.type == FieldType::kText || field.type == FieldType::kSet) return Value(std::string());
  return std::nullopt;
}

std::vector<std::string> WordsOf(const std::string& set) {
  std::istringstream words(set);
  return {std::istream_iterator<std::string>(words), std::istream_iterator<std::string>()};
}

bool MatchesTerm(const query::Term& term, const NaiveRow& row) {
  const std::optional<Value> value = ValueOf(row, *term.field);
  if (!value.has_value()) return false;
  const auto* const text = std::get_if<std::string>(&*value);
  const auto* const wanted = std::get_if<std::string>(&term.value);
  switch (term.comparison) {
    case Comparison::kEqual:
      if (term.field->type == FieldType::kSet) {
        return std::ranges::count(WordsOf(*text), *wanted) > 0;
      }
      return *value == term.value;
    case Comparison::kLess:
      return *value < term.value;
    case Comparison::kLessOrEqual:
      return *value <= term.value;
    case Comparison::kGreater:
      return *value > term.value;
    case Comparison::kGreaterOrEqual:
      return *value >= term.value;
    case Comparison::kStarts:
      return text->starts_with(*wanted);
    case Comparison::kEnds:
      return text->ends_with(*wanted);
    case Comparison::kContains:
      return text->find(*wanted) != std::string::npos;
    case Comparison::kPresent:
      return text == nullptr || !text->empty();
  }
  return false;
}

Comparison RandomComparison(const Field& field, base::Random& random) {
  if (random.Below(8) == 0) return Comparison::kPresent;
  if (field.type == FieldType::kText) return static_cast<Comparison>(random.Below(8));
  if (field.type == FieldType::kFlag || query::IsBytes(field.type)) return Comparison::kEqual;
  return static_cast<Comparison>(random.Below(5));
}

Value RandomValue(const Field& field, const std::vector<NaiveRow>& rows, base::Random& random) {
  const std::optional<Value> seen =
      rows.empty() ? std::nullopt : ValueOf(rows[random.Below(rows.size())], field);
  if (!seen.has_value()) {
    if (field.type == FieldType::kText) return std::string("x");
    if (!query::IsBytes(field.type)) return static_cast<std::int64_t>(random.Below(5));
    return std::string(field.type == FieldType::kId ? 16 : 32, '\x7f');
  }
  if (const auto* const number = std::get_if<std::int64_t>(&*seen)) {
    return *number + static_cast<std::int64_t>(random.Below(3)) - 1;
  }
  std::string text = std::get<std::string>(*seen);
  if (field.type == FieldType::kSet) {
    const std::vector<std::string> words = WordsOf(text);
    return words.empty() ? "x" : words[random.Below(words.size())];
  }
  if (field.type != FieldType::kText || text.empty()) return text;
  const std::size_t from = random.Below(text.size());
  const std::string piece = text.substr(from, 1 + random.Below(text.size() - from));
  return base::IsUtf8(piece) ? piece : text;
}

void PutPublisher(const std::optional<Actor>& publisher, NaiveRow& out) {
  out.values["published_by"] = publisher ? publisher->name : "";
  if (publisher) out.values["published_by_token_id"] = OfBytes(publisher->token);
}

const model::Path* PathOf(const model::EventBody& body) {
  if (const auto* const event = std::get_if<model::SightingAppeared>(&body)) {
    return &event->sighting.path;
  }
  if (const auto* const event = std::get_if<model::SightingChanged>(&body)) {
    return &event->sighting.path;
  }
  if (const auto* const event = std::get_if<model::SightingGone>(&body)) return &event->path;
  if (const auto* const event = std::get_if<model::SightingJudged>(&body)) return &event->path;
  if (const auto* const event = std::get_if<model::CoverageChanged>(&body)) {
    return &event->coverage.root;
  }
  return nullptr;
}

}  // namespace

std::string LabelSet(const Labels& labels) {
  std::string set;
  for (const std::string& word : LabelWords(labels)) set += word + " ";
  return set;
}

NaiveRow Naive(const EndpointRow& row) {
  NaiveRow out{row.id.ToHex(), {}};
  out.values = {{"endpoint_id", OfBytes(row.id)},
                {"hostname", row.machine.hostname},
                {"os", row.machine.os},
                {"agent_version", row.machine.agent_version},
                {"state", OfEnum(row.state)},
                {"enrolled_time", OfTime(row.enrolled)},
                {"clock_offset", Value(row.clock_offset.count())},
                {"policy_version", Num(row.policy_version)},
                {"policy_partly", Value(std::int64_t{row.policy_partly})},
                {"sightings", Num(row.sightings)},
                {"denied", Num(row.denied)},
                {"warned", Num(row.warned)},
                {"events_stored", Num(row.events_stored)},
                {"events_dropped", Num(row.events_dropped)},
                {"key_sha256", OfBytes(row.key_sha256)},
                {"key_added_time", OfTime(row.key_added)},
                {"revoked_reason", row.revoked_reason}};
  out.values["label"] = LabelSet(row.labels);
  out.values["coverage"] = OfEnum(row.coverage_state);
  if (row.policy_since) out.values["policy_since_time"] = OfTime(*row.policy_since);
  if (row.revoked.has_value()) out.values["revoked_time"] = OfTime(*row.revoked);
  if (row.last_contact.has_value()) out.values["last_contact_time"] = OfTime(*row.last_contact);
  return out;
}

NaiveRow Naive(const SightingRow& row) {
  const model::Sighting& sighting = row.sighting;
  const model::Facts& facts = sighting.facts;
  NaiveRow out{row.endpoint.ToHex() + sighting.path.bytes + " " +
                   std::to_string(base::ToMicroseconds(row.first_seen)),
               {}};
  out.values = {{"endpoint_id", OfBytes(row.endpoint)},
                {"hostname", row.hostname},
                {"path", sighting.path.ToDisplay()},
                {"size", Num(sighting.size_bytes)},
                {"modified_time", OfTime(sighting.modified_at)},
                {"owner", sighting.owner.name},
                {"owner_id", sighting.owner.id},
                {"digest_detail", sighting.digest.detail},
                {"format", OfEnum(facts.format)},
                {"name", facts.name},
                {"architecture", facts.architecture},
                {"license", facts.license},
                {"quantization", facts.quantization},
                {"digest_state", OfEnum(sighting.digest.state)},
                {"first_seen_time", OfTime(row.first_seen)},
                {"last_change_time", OfTime(row.gone.value_or(row.last_change))},
                {"present", Value(std::int64_t{!row.gone.has_value()})}};
  if (facts.tensor_count.has_value()) out.values["tensors"] = Num(*facts.tensor_count);
  if (sighting.digest.verified_at) {
    out.values["verified_time"] = OfTime(*sighting.digest.verified_at);
  }
  std::string& risks = std::get<std::string>(out.values["risk"] = Value(std::string()));
  for (const model::Risk& risk : facts.risks) risks += risk.id + " ";
  if (facts.parameters.has_value()) out.values["parameters"] = Num(*facts.parameters);
  for (const model::Risk& risk : facts.risks) {
    Value& worst = out.values.try_emplace("risk_severity", std::int64_t{0}).first->second;
    worst = std::max(worst, OfEnum(risk.severity));
  }
  if (sighting.digest.sha256.has_value()) out.values["sha256"] = OfBytes(*sighting.digest.sha256);
  if (sighting.weights_digest) out.values["weights_digest"] = OfBytes(*sighting.weights_digest);
  if (sighting.weights_reason != model::WeightsReason::kNone) {
    out.values["weights_reason"] = OfEnum(sighting.weights_reason);
  }
  if (row.verdict.has_value()) {
    out.values["verdict"] = OfEnum(row.verdict->outcome);
    out.values["rule"] = row.verdict->rule;
    out.values["reason"] = row.verdict->reason;
    out.values["link"] = row.verdict->link;
    if (row.verdict->until) out.values["until_time"] = OfTime(*row.verdict->until);
    out.values["policy_version"] = Num(row.verdict->policy_version);
    out.values["basis"] = OfEnum(row.verdict->basis);
    out.values["step"] = OfEnum(row.verdict->step);
    out.values["severity"] = OfEnum(row.verdict->severity);
    out.values["mode"] = OfEnum(row.verdict->mode);
    std::string& audits = std::get<std::string>(out.values["audit"] = Value(std::string()));
    for (const std::string& rule : row.verdict->audits) audits += rule + " ";
  }
  return out;
}

NaiveRow Naive(const ArtifactRow& row) {
  NaiveRow out{row.sha256.ToHex(), {}};
  out.values = {{"sha256", OfBytes(row.sha256)},
                {"places", Num(row.places)},
                {"endpoints", Num(row.endpoints)},
                {"name", row.name},
                {"license", row.license}};
  if (row.first_seen.has_value()) out.values["first_seen_time"] = OfTime(*row.first_seen);
  if (row.format.has_value()) out.values["format"] = OfEnum(*row.format);
  if (row.size_bytes.has_value()) out.values["size"] = Num(*row.size_bytes);
  return out;
}

NaiveRow Naive(const EventRow& row) {
  NaiveRow out{row.chain.ToHex() + std::to_string(row.number), {}};
  out.values = {
      {"chain_id", OfBytes(row.chain)}, {"number", Num(row.number)}, {"kind", Num(row.kind)}};
  if (row.wall.has_value()) out.values["time"] = OfTime(*row.wall);
  if (row.sha256.has_value()) out.values["sha256"] = OfBytes(*row.sha256);
  if (const auto event = wire::ParseEvent(row.body)) {
    if (const model::Path* const path = PathOf(event->body)) {
      out.values["path"] = path->ToDisplay();
    }
  }
  return out;
}

NaiveRow Naive(const PolicyRow& row) {
  NaiveRow out{std::to_string(row.version), {}};
  out.values = {{"version", Num(row.version)},
                {"published_time", OfTime(row.published)},
                {"floor", Num(row.floor)},
                {"manifest_sha256", OfBytes(row.manifest_sha256)},
                {"endpoints_in_force", Num(row.endpoints_in_force)},
                {"endpoints_partly", Num(row.endpoints_partly)}};
  PutPublisher(row.publisher, out);
  return out;
}

NaiveRow Naive(const ExceptionRow& row) {
  const model::Exception& exception = row.exception;
  NaiveRow out{exception.id.ToHex() + std::to_string(row.version), {}};
  out.values = {{"exception_id", OfBytes(exception.id)},
                {exception.of_weights ? "weights_digest" : "sha256", OfBytes(exception.digest)},
                {"user", exception.user},
                {"overrides", exception.overrides},
                {"reason", exception.reason},
                {"expires_time", OfTime(exception.expires)},
                {"version", Num(row.version)},
                {"granted_time", OfTime(row.granted)},
                {"granted_by", row.publisher ? row.publisher->name : ""}};
  if (row.endpoint) out.values["endpoint_id"] = OfBytes(*row.endpoint);
  if (row.publisher) out.values["granted_by_token_id"] = OfBytes(row.publisher->token);
  if (row.withdrawn) out.values["withdrawn_time"] = OfTime(*row.withdrawn);
  return out;
}

NaiveRow Naive(const FindingRow& row) {
  NaiveRow out{std::to_string(row.id), {}};
  out.values = {{"finding_id", Num(row.id)},
                {"rule", row.rule},
                {"endpoint_id", OfBytes(row.endpoint)},
                {"hostname", row.hostname},
                {"subject", row.subject},
                {"severity", OfEnum(row.severity)},
                {"state", Value(static_cast<std::int64_t>(row.state))},
                {"detail", row.detail},
                {"first_time", OfTime(row.first)},
                {"last_time", OfTime(row.last)},
                {"count", Num(row.count)}};
  return out;
}

NaiveRow Naive(const Change& row) {
  NaiveRow out{std::to_string(row.position), {}};
  out.values = {{"position", Num(row.position)},
                {"time", OfTime(row.time)},
                {"topic", OfEnum(row.topic)},
                {"number", Num(row.number)},
                {"count", Num(row.count)}};
  if (row.endpoint) out.values["endpoint_id"] = OfBytes(*row.endpoint);
  if (row.chain) out.values["chain_id"] = OfBytes(*row.chain);
  return out;
}

NaiveRow Naive(const AdminTokenRecord& row) {
  NaiveRow out{row.id.ToHex(), {}};
  out.values = {{"token_id", OfBytes(row.id)},
                {"name", row.name},
                {"role", OfEnum(row.role)},
                {"scope", row.scope.ToText()},
                {"created_time", OfTime(row.created)}};
  if (row.created_by.has_value()) out.values["created_by_token_id"] = OfBytes(*row.created_by);
  if (row.expires.has_value()) out.values["expires_time"] = OfTime(*row.expires);
  if (row.revoked.has_value()) out.values["revoked_time"] = OfTime(*row.revoked);
  return out;
}

NaiveRow Naive(const AuditEntry& entry) {
  const wire::AuditRow& row = entry.row;
  NaiveRow out{std::to_string(row.number), {}};
  out.values = {{"number", Num(row.number)},
                {"time", OfTime(row.time)},
                {"token_id", OfBytes(row.token_id)},
                {"token_name", row.token_name},
                {"method", row.method},
                {"outcome", OfEnum(row.outcome)},
                {"begun_number", Num(row.begun_number)},
                {"code", Num(row.code)},
                {"summary", row.summary}};
  return out;
}

bool Matches(const Filter& filter, const NaiveRow& row) {
  const auto part = [&](const Filter& inner) { return Matches(inner, row); };
  switch (filter.kind) {
    case Filter::Kind::kTerm:
      return MatchesTerm(filter.term, row);
    case Filter::Kind::kAll:
      return std::ranges::all_of(filter.parts, part);
    case Filter::Kind::kAny:
      return std::ranges::any_of(filter.parts, part);
    case Filter::Kind::kNot:
      return !part(filter.parts.front());
  }
  return false;
}

std::vector<NaiveRow> Answer(const query::List& list, std::vector<NaiveRow> rows,
                             const std::optional<Filter>& filter, const query::Order& order) {
  if (filter.has_value()) {
    std::erase_if(rows, [&](const NaiveRow& row) { return !Matches(*filter, row); });
  }
  if (order.empty()) return rows;
  if (list.newest_first) std::ranges::reverse(rows);
  if (query::KeyDescends(list, order)) std::ranges::reverse(rows);
  std::ranges::stable_sort(rows, [&](const NaiveRow& a, const NaiveRow& b) {
    for (const query::OrderTerm& term : order) {
      const auto left = ValueOf(a, *term.field);  // what is lacking sorts first
      const auto right = ValueOf(b, *term.field);
      if (left != right) return term.descending ? right < left : left < right;
    }
    return false;
  });
  return rows;
}

std::string Describe(const Filter& filter) {
  if (filter.kind == Filter::Kind::kTerm) {
    constexpr std::string_view kSigns[] = {
        " = ", " < ", " <= ", " > ", " >= ", " starts ", " ends ", " : ", " is there "};
    const query::Term& term = filter.term;
    const auto* const text = std::get_if<std::string>(&term.value);
    return std::string(term.field->name) +
           std::string(kSigns[static_cast<std::size_t>(term.comparison)]) +
           (text != nullptr ? base::EscapeForDisplay(*text)
                            : std::to_string(std::get<std::int64_t>(term.value)));
  }
  std::string out = filter.kind == Filter::Kind::kNot ? "NOT (" : "(";
  for (std::size_t i = 0; i < filter.parts.size(); ++i) {
    if (i > 0) out += filter.kind == Filter::Kind::kAll ? " AND " : " OR ";
    out += Describe(filter.parts[i]);
  }
  return out + ")";
}

Filter RandomFilter(const query::List& list, const std::vector<NaiveRow>& rows, int depth,
                    base::Random& random) {
  Filter filter;
  if (depth == 0 || random.Below(3) == 0) {
    const Field& field = list.fields[random.Below(list.fields.size())];
    filter.term = {&field, RandomComparison(field, random), RandomValue(field, rows, random)};
    // A * alone is kPresent.
    const bool nothing = filter.term.value == Value(std::string());
    if (filter.term.comparison == Comparison::kEnds && nothing)
      filter.term.value = std::string("x");
    return filter;
  }
  constexpr Filter::Kind kKinds[] = {Filter::Kind::kAll, Filter::Kind::kAny, Filter::Kind::kNot};
  filter.kind = kKinds[random.Below(3)];
  const std::size_t parts = filter.kind == Filter::Kind::kNot ? 1 : 2 + random.Below(2);
  for (std::size_t i = 0; i < parts; ++i) {
    filter.parts.push_back(RandomFilter(list, rows, depth - 1, random));
  }
  return filter;
}

query::Order RandomOrder(const query::List& list, base::Random& random) {
  query::Order order;
  const std::size_t terms = random.Below(4);
  while (order.size() < terms) {
    const Field& field = list.fields[random.Below(list.fields.size())];
    if (!field.orders || std::ranges::count(order, &field, &query::OrderTerm::field) > 0) {
      if (order.size() + 1 >= terms && random.Below(4) == 0) break;
      continue;
    }
    order.push_back({&field, random.Below(2) == 0});
  }
  return order;
}

}  // namespace weighmaster::server::store
