#include "policy/model/settings.h"

#include <gtest/gtest.h>

namespace weighmaster::model {
namespace {

// With something in every field that can be withheld.
Sighting WholeSighting() {
  Sighting sighting;
  sighting.path.bytes = "/m/a.gguf";
  sighting.size_bytes = 7;
  sighting.owner = {"1000", "ada"};
  sighting.facts = {.format = Format::kGguf,
                    .name = "Ada",
                    .architecture = "llama",
                    .license = "mit",
                    .quantization = "Q4_0",
                    .parameters = 5,
                    .tensor_count = 6,
                    .risks = {{"opaque", Severity::kLow, "It is opaque.", "offset 9"}}};
  return sighting;
}

TEST(Settings, EveryFieldThatCanBeWithheldIsGoneAloneWhereItIs) {
  WithheldFields all;
  Sighting without = WholeSighting();
  for (const SentField& field : SentFields()) {
    if (!field.as.has_value()) continue;
    all.insert(*field.as);
    EXPECT_EQ(ParseWithheld(field.name).value(), *field.as);
    EXPECT_EQ(WithheldName(*field.as), field.name);
    EXPECT_NE(Without({*field.as}, WholeSighting()), WholeSighting()) << field.name;
    const Sighting before = without;
    without = Without({*field.as}, without);
    EXPECT_NE(without, before) << field.name << " is also withheld by another field";
  }
  EXPECT_EQ(Without(all, WholeSighting()), without);
  Sighting rest;
  rest.path.bytes = "/m/a.gguf";
  rest.size_bytes = 7;
  rest.facts.format = Format::kGguf;
  rest.facts.risks = {{"opaque", Severity::kLow, "It is opaque.", ""}};
  EXPECT_EQ(without, rest);
}

TEST(Settings, WhatIsAlwaysSentCannotBeWithheld) {
  for (const char* name : {"path", "digest", "", "Owner"}) {
    EXPECT_FALSE(ParseWithheld(name).has_value()) << name;
  }
}

}  // namespace
}  // namespace weighmaster::model
