#include "server/query/lists.h"

#include <gtest/gtest.h>

#include <fstream>
#include <set>
#include <sstream>
#include <string>

namespace weighmaster::server::query {
namespace {

std::string Row(const Field& field) {
  std::string type(FieldTypeName(field.type));
  for (const Choice& choice : field.choices) {
    type += (&choice == field.choices.data() ? ": " : ", ") + std::string(choice.name);
  }
  return "| `" + std::string(field.name) + "` | " + type + " | " + (field.orders ? "yes" : "") +
         " | " + (field.can_lack ? "yes" : "") + " | " + std::string(field.means) + " |\n";
}

// The part of docs/formats/filters.md that the tables make.
std::string Tables() {
  std::string text;
  for (const List* const list : Lists()) {
    text += "### " + std::string(list->name) + "\n\nBy itself: " + std::string(list->by_default) +
            ".\n\n" +
            "| field | type | orders | may lack | what it is |\n| --- | --- | --- | --- | --- |\n";
    for (const Field& field : list->fields) text += Row(field);
    text += "\n";
  }
  return text;
}

TEST(Lists, AreWhatThePageSays) {
  std::ifstream file(WEIGHMASTER_FILTERS_PAGE);
  std::ostringstream page;
  page << file.rdbuf();
  const std::string text = page.str();
  const auto start = text.find("### ");
  ASSERT_NE(start, std::string::npos);
  EXPECT_EQ(text.substr(start), Tables().substr(0, Tables().size() - 1))
      << "docs/formats/filters.md must end with these tables";
}

TEST(Lists, HaveFieldsThatFitTheirTypes) {
  for (const List* const list : Lists()) {
    std::set<std::string_view> names;
    for (const Field& field : list->fields) {
      EXPECT_TRUE(names.insert(field.name).second) << field.name;
      EXPECT_EQ(field.type == FieldType::kChoice, !field.choices.empty()) << field.name;
      EXPECT_FALSE(field.means.empty()) << field.name;
      EXPECT_EQ(FindField(*list, field.name), &field);
    }
    EXPECT_EQ(FindField(*list, "no_such_field"), nullptr);
  }
}

}  // namespace
}  // namespace weighmaster::server::query
