#include "policy/lang/list_reader.h"

#include <array>
#include <utility>

#include "policy/base/bytes.h"
#include "policy/base/limits.h"
#include "policy/lang/yaml/values.h"

namespace weighmaster::lang {
namespace {

using model::ListKind;

constexpr std::pair<std::string_view, ListKind> kLists[] = {{"blocked", ListKind::kBlocked},
                                                            {"denied", ListKind::kDenied},
                                                            {"approved", ListKind::kApproved}};
constexpr std::string_view kBlank = " \t";
// Before a digest that is not of the file's bytes.
constexpr std::string_view kWeights = "weights:";
constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

// The list of weights digests that belongs to a list of files; none to the blocked one, which every
// agent must be able to judge by, whatever it can compute.
std::optional<ListKind> WeightsListOf(ListKind kind) {
  if (kind == ListKind::kDenied) return ListKind::kDeniedWeights;
  if (kind == ListKind::kApproved) return ListKind::kApprovedWeights;
  return std::nullopt;
}

// Whether the path stays inside the folder that it is relative to.
bool StaysInside(std::string_view path) {
  if (path.empty() || path.size() > base::limits::kMaxPathBytes) return false;
  if (path.find('\\') != std::string_view::npos || path.find('\0') != std::string_view::npos) {
    return false;
  }
  while (true) {
    const std::size_t slash = path.find('/');
    const std::string_view name = path.substr(0, slash);
    if (name.empty() || name == "." || name == "..") return false;
    if (slash == std::string_view::npos) return true;
    path.remove_prefix(slash + 1);
  }
}

std::string_view Trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(kBlank);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlank) - first + 1);
}

// The line without its comment: a '#' at the start or after white space, and all that follows.
std::string_view WithoutComment(std::string_view line) {
  for (std::size_t i = 0; i < line.size(); ++i) {
    const bool begins_word = i == 0 || kBlank.find(line[i - 1]) != std::string_view::npos;
    if (line[i] == '#' && begins_word) return line.substr(0, i);
  }
  return line;
}

}  // namespace

void ListReader::Read(const YamlNode& lists) {
  if (!ExpectMap(lists, "\"lists\"", report_)) return;
  CheckKeys(lists, {"blocked", "denied", "approved"}, report_);
  for (const auto& [name, kind] : kLists) {
    const YamlNode* const list = lists.Find(name);
    if (list == nullptr) continue;
    if (!ExpectSequence(*list, "\"" + std::string(name) + "\"", report_)) continue;
    const std::size_t before = document_.digests.size();
    for (const YamlNode& entry : list->items) ReadEntry(kind, entry);
    const std::size_t count = document_.digests.size() - before;
    if (count > base::limits::kMaxDigestsPerList) {
      report_.Error(list->at,
                    "the list holds " + std::to_string(count) + " digests; the limit is " +
                        std::to_string(base::limits::kMaxDigestsPerList),
                    "approve or deny by a rule where so many files have something in common");
    }
  }
  if (model::MaxEncodedListsBytes(document_.digests.size()) > base::limits::kMaxPartBytes) {
    report_.Error(lists.at,
                  "the lists together take more than " +
                      std::to_string(base::limits::kMaxPartBytes / base::limits::kMiB) + " MiB",
                  "a digest takes 32 bytes; shorten the longest list");
  }
}

void ListReader::ReadEntry(ListKind kind, const YamlNode& node) {
  if (node.kind == YamlNode::Kind::kRefused) return;
  if (node.kind == YamlNode::Kind::kMap) {
    ReadMap(kind, node);
  } else if (node.kind == YamlNode::Kind::kScalar) {
    Add(kind, node.text, node.at, report_);
  } else {
    report_.Error(
        node.at,
        "an entry of a list must be a digest, and here stands " + std::string(KindName(node.kind)),
        "write 64 hexadecimal digits, {sha256: …, name: …} or {file: NAME.txt}");
  }
}

void ListReader::ReadMap(ListKind kind, const YamlNode& node) {
  CheckKeys(node, {"sha256", "weights", "name", "reason", "file"}, report_);
  const YamlNode* const weights = node.Find("weights");
  const YamlNode* const digest = weights != nullptr ? weights : node.Find("sha256");
  if (const YamlNode* const file = node.Find("file")) {
    if (node.entries.size() > 1) {
      report_.Error(node.at, "\"file\" stands alone in its entry",
                    "names stand in the file itself, after each digest");
    }
    ReadFile(kind, *file);
    return;
  }
  if (digest == nullptr) {
    report_.Error(node.at, "this entry has neither \"sha256\" nor \"weights\" nor \"file\"");
    return;
  }
  if (weights != nullptr && node.Find("sha256") != nullptr) {
    report_.Error(node.at, "\"sha256\" and \"weights\" can't stand in one entry",
                  "make two entries of it");
    return;
  }
  std::optional<std::string> text = ReadText(*digest, "the digest", report_);
  if (text && weights != nullptr) text->insert(0, kWeights);
  DigestNote note;
  constexpr std::size_t kMaxBytes = base::limits::kMaxRuleMessageBytes;
  if (const YamlNode* const name = node.Find("name")) {
    note.name = ReadSentence(*name, "\"name\"", kMaxBytes, report_).value_or("");
  }
  if (const YamlNode* const reason = node.Find("reason")) {
    note.reason = ReadSentence(*reason, "\"reason\"", kMaxBytes, report_).value_or("");
  }
  if (!text || !Add(kind, *text, digest->at, report_)) return;
  if (note.name.empty() && note.reason.empty()) return;
  note.digest = document_.digests.back().digest;
  document_.notes.push_back(std::move(note));
}

void ListReader::ReadFile(ListKind kind, const YamlNode& path_node) {
  const std::optional<std::string> path = ReadText(path_node, "\"file\"", report_);
  if (!path) return;
  if (!StaysInside(*path)) {
    report_.Error(path_node.at, Quote(*path) + " is no path inside the document's folder",
                  "put the list beside the document and name it by a relative path without ..");
    return;
  }
  if (!read_file_) {
    report_.Error(path_node.at, "list files can't be read here: " + Quote(*path));
    return;
  }
  base::Result<std::string> text = read_file_(*path);
  if (!text.has_value()) {
    report_.Error(path_node.at,
                  "the list " + Quote(*path) + " can't be read: " + text.error().message());
    return;
  }
  if (text->size() > base::limits::kMaxListFileBytes) {
    report_.Error(path_node.at,
                  "the list " + Quote(*path) + " is larger than " +
                      std::to_string(base::limits::kMaxListFileBytes / base::limits::kMiB) +
                      " MiB");
    return;
  }
  document_.files.push_back(*path);
  ReadLines(kind, *text, Reporter(*path, report_.diagnostics()));
}

void ListReader::ReadLines(ListKind kind, std::string_view text, const Reporter& report) {
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  for (std::uint32_t number = 1; !text.empty(); ++number) {
    const std::size_t newline = text.find('\n');
    std::string_view line = text.substr(0, newline);
    text.remove_prefix(newline == std::string_view::npos ? text.size() : newline + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (!base::IsUtf8(line)) {
      report.Error({number, 1}, "this line is not UTF-8 text");
      continue;
    }
    const std::string_view content = Trimmed(WithoutComment(line));
    if (content.empty()) continue;
    const auto column = static_cast<std::uint32_t>(content.data() - line.data()) + 1;
    if (content.starts_with(kByteOrderMark)) {
      report.Error({number, column}, "here stands a byte order mark, which only begins a file",
                   "files that were joined leave it; remove its three bytes, EF BB BF");
      continue;
    }
    const std::string_view digest = content.substr(0, content.find_first_of(kBlank));
    if (!Add(kind, digest, {number, column}, report)) continue;
    const std::string_view name = Trimmed(content.substr(digest.size()));
    if (!name.empty()) {
      document_.notes.push_back({document_.digests.back().digest, std::string(name), {}});
    }
  }
}

bool ListReader::Add(ListKind kind, std::string_view text, Location at, const Reporter& report) {
  if (text.starts_with(kWeights)) {
    const std::optional<ListKind> weights_list = WeightsListOf(kind);
    if (!weights_list) {
      report.Error(at, "weights can't be blocked",
                   "deny them; to block, name the SHA-256 of each file");
      return false;
    }
    kind = *weights_list;
    text.remove_prefix(kWeights.size());
  }
  const base::Result<model::Sha256> digest = model::ParseSha256(text);
  if (!digest.has_value()) {
    report.Error(at, Quote(text) + " is no digest: " + digest.error().message(),
                 "write 64 hexadecimal digits, as sha256sum prints them");
    return false;
  }
  const auto file = static_cast<std::uint32_t>(document_.files.size() - 1);
  const bool in_document = &report == &report_;
  document_.digests.push_back({*digest, kind, in_document ? 0 : file, at});
  return true;
}

}  // namespace weighmaster::lang
