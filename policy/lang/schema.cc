#include "policy/lang/schema.h"

#include <nlohmann/json.hpp>
#include <string_view>

#include "policy/engine/fields.h"
#include "policy/model/settings.h"

namespace weighmaster::lang {
namespace {

using Json = nlohmann::ordered_json;
using engine::Field;
using engine::FieldType;
using engine::FieldUnit;
using model::Operator;

// All but the fields of a condition and those that `collect` names.
constexpr std::string_view kFrame = R"json({
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "title": "Weighmaster policy document",
  "description": "docs/formats/policy-document.md. Lint knows more; run it before publishing.",
  "type": "object",
  "additionalProperties": false,
  "required": ["policy"],
  "properties": {
    "policy": {
      "description": "The policy's name.",
      "type": "string",
      "minLength": 1,
      "maxLength": 128
    },
    "mode": {
      "description": "What is done about verdicts, unless a rule says otherwise.",
      "$ref": "#/$defs/mode"
    },
    "min_size": {
      "description": "Smaller files wait for the second, slower pass of a first walk.",
      "$ref": "#/$defs/bytes",
      "maximum": 1073741824
    },
    "budget": {
      "description": "What looking at files may cost an endpoint.",
      "type": "object",
      "additionalProperties": false,
      "properties": {
        "read_per_second": {
          "description": "Read from disk, all together.",
          "$ref": "#/$defs/bytes",
          "minimum": 1048576,
          "maximum": 1099511627776
        },
        "cpu_percent": {
          "description": "Of one processor.",
          "$ref": "#/$defs/number",
          "minimum": 1,
          "maximum": 100
        },
        "pause_on_battery": {
          "description": "Wait while on battery, at most a day.",
          "type": "boolean"
        },
        "pause_above_load": {
          "description": "Wait while the load of a processor is above; 0: never.",
          "$ref": "#/$defs/number",
          "maximum": 1000
        }
      }
    },
    "collect": {
      "description": "What of a model file is sent; false keeps it on the endpoint.",
      "type": "object",
      "additionalProperties": false,
      "properties": {}
    },
    "lists": {
      "type": "object",
      "additionalProperties": false,
      "properties": {
        "blocked": {
          "description": "Denied in an emergency; nothing overrides it.",
          "$ref": "#/$defs/entries"
        },
        "denied": {
          "description": "Denied, also when a digest is only claimed.",
          "$ref": "#/$defs/entries"
        },
        "approved": {
          "description": "Allowed once the digest is verified.",
          "$ref": "#/$defs/entries"
        }
      }
    },
    "rules": {
      "description": "Tried from the top; the first that fires decides.",
      "type": "array",
      "maxItems": 1000,
      "items": {"$ref": "#/$defs/rule"}
    },
    "default": {
      "description": "What holds when nothing else decides; allow unless it says otherwise.",
      "type": "object",
      "additionalProperties": false,
      "required": ["then"],
      "properties": {
        "then": {"$ref": "#/$defs/outcome"},
        "message": {"$ref": "#/$defs/sentence"},
        "link": {"$ref": "#/$defs/link"},
        "severity": {"$ref": "#/$defs/severity"}
      }
    }
  },
  "$defs": {
    "rule": {
      "type": "object",
      "additionalProperties": false,
      "required": ["id", "then"],
      "properties": {
        "id": {
          "description": "Verdicts name the rule by it.",
          "type": "string",
          "pattern": "^[a-z0-9][a-z0-9._-]{0,63}$",
          "not": {
            "enum": [
              "blocked",
              "denied",
              "approved",
              "default"
            ]
          }
        },
        "when": {
          "description": "Without it the rule applies to everything.",
          "$ref": "#/$defs/condition"
        },
        "then": {"$ref": "#/$defs/outcome"},
        "message": {"$ref": "#/$defs/sentence"},
        "link": {
          "description": "Where the person finds more.",
          "$ref": "#/$defs/link"
        },
        "severity": {
          "description": "How grave it is; else by the outcome: info, medium, high.",
          "$ref": "#/$defs/severity"
        },
        "mode": {
          "description": "Instead of the document's.",
          "$ref": "#/$defs/mode"
        },
        "expires": {
          "description": "A day or a time, from which on the rule is not asked any more.",
          "type": "string",
          "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}([Tt ][0-9]{2}:[0-9]{2}:[0-9]{2})json"
                                    R"json((\\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2}))?$"
        },
        "audit": {
          "description": "Decide nothing; verdicts name the rule where it would decide.",
          "type": "boolean"
        },
        "always": {
          "description": "Judge it before the approved list.",
          "type": "boolean"
        },
        "when_unknown": {
          "description": "What to do when the condition is neither true nor false.",
          "type": "string",
          "enum": ["fire", "skip"]
        }
      }
    },
    "condition": {
      "description": "Every entry must hold.",
      "type": "object",
      "additionalProperties": false,
      "minProperties": 1,
      "properties": {
        "all": {
          "description": "Holds when every one of these conditions holds.",
          "type": "array",
          "minItems": 1,
          "items": {"$ref": "#/$defs/condition"}
        },
        "any": {
          "description": "Holds when one of these conditions holds.",
          "type": "array",
          "minItems": 1,
          "items": {"$ref": "#/$defs/condition"}
        },
        "not": {
          "description": "Holds when this condition does not; unknown when it is unknown.",
          "$ref": "#/$defs/condition"
        }
      }
    },
    "outcome": {"type": "string", "enum": ["allow", "warn", "deny"]},
    "entries": {
      "type": "array",
      "items": {
        "anyOf": [
          {"$ref": "#/$defs/listed"},
          {
            "type": "object",
            "additionalProperties": false,
            "required": ["sha256"],
            "properties": {
              "sha256": {
                "$ref": "#/$defs/digest"
              },
              "name": {
                "$ref": "#/$defs/sentence"
              },
              "reason": {
                "$ref": "#/$defs/sentence"
              }
            }
          },
          {
            "type": "object",
            "additionalProperties": false,
            "required": ["weights"],
            "properties": {
              "weights": {
                "description": "The weights digest, the same for every packing.",
                "$ref": "#/$defs/digest"
              },
              "name": {
                "$ref": "#/$defs/sentence"
              },
              "reason": {
                "$ref": "#/$defs/sentence"
              }
            }
          },
          {
            "type": "object",
            "additionalProperties": false,
            "required": ["file"],
            "properties": {
              "file": {
                "type": "string",
                "minLength": 1,
                "description": "A text file beside the document: one digest a line."
              }
            }
          }
        ]
      }
    },
    "digest": {"type": "string", "pattern": "^(sha256:)?[0-9A-Fa-f]{64}$"},
    "sentence": {"type": "string", "minLength": 1, "maxLength": 1024},
    "text": {"type": ["string", "number", "boolean"]},
    "texts": {
      "anyOf": [
        {"$ref": "#/$defs/text"},
        {
          "type": "array",
          "items": {"$ref": "#/$defs/text"},
          "minItems": 1
        }
      ]
    },
    "bytes": {
      "type": ["string", "integer"],
      "pattern": "^[0-9]+(\\.[0-9]{1,9})? ?(B|kB|MB|GB|TB|KiB|MiB|GiB|TiB)?$",
      "minimum": 0
    },
    "count": {
      "type": ["string", "integer"],
      "pattern": "^[0-9]+(\\.[0-9]{1,9})? ?(K|M|B|T)?$",
      "minimum": 0
    },
    "number": {"type": ["string", "integer"], "pattern": "^[0-9]+ ?$", "minimum": 0},
    "mode": {"type": "string", "enum": ["observe", "warn", "enforce"]},
    "severity": {
      "type": "string",
      "enum": ["info", "low", "medium", "high", "critical"]
    },
    "link": {
      "type": "string",
      "pattern": "^https://[^/ \"'<>\\\\^`{|}][^ \"'<>\\\\^`{|}]*$",
      "maxLength": 1024
    },
    "listed": {"type": "string", "pattern": "^(weights:)?(sha256:)?[0-9A-Fa-f]{64}$"},
    "digests": {
      "anyOf": [
        {"$ref": "#/$defs/digest"},
        {
          "type": "array",
          "items": {"$ref": "#/$defs/digest"},
          "minItems": 1
        }
      ]
    }
  }
})json";

Json Reference(const std::string& name) { return {{"$ref", "#/$defs/" + name}}; }

// What a field is compared with, once or several times.
Json OneOrMore(const Json& one) {
  const Json several = {{"type", "array"}, {"items", one}, {"minItems", 1}};
  return {{"anyOf", Json::array({one, several})}};
}

Json OneOfItsValues(const Field& field) {
  Json names = Json::array();
  for (const std::string_view value : field.values) names.push_back(value);
  return {{"type", "string"}, {"enum", names}};
}

Json IsOperand(const Field& field) {
  if (field.type == FieldType::kFlag) return {{"type", "boolean"}};
  if (field.type == FieldType::kDigest) return Reference("digests");
  return field.values.empty() ? Reference("texts") : OneOrMore(OneOfItsValues(field));
}

Json OperandOf(Operator op, const Field& field) {
  switch (op) {
    case Operator::kEquals:
      return IsOperand(field);
    case Operator::kGlob:
    case Operator::kContains:
      return Reference("texts");
    case Operator::kAtLeast:
    case Operator::kAtMost:
      if (field.type == FieldType::kSeverity) return OneOfItsValues(field);
      return Reference(field.unit == FieldUnit::kBytes ? "bytes" : "count");
    case Operator::kKnown:
      return {{"type", "boolean"}};
  }
  return {};
}

Json SchemaOf(const Field& field) {
  Json operators = Json::object();
  for (const Operator op : engine::OperatorsOf(field.type)) {
    operators[std::string(model::OperatorName(op))] = OperandOf(op, field);
  }
  const Json by_operator = {{"type", "object"},
                            {"additionalProperties", false},
                            {"minProperties", 1},
                            {"properties", operators}};
  Json schema = {{"description", field.description}};
  if (engine::Fits(Operator::kEquals, field.type)) {
    schema["anyOf"] = Json::array({IsOperand(field), by_operator});
  } else {
    schema.update(by_operator);
  }
  return schema;
}

std::string TypeOf(const Field& field) {
  std::string type(engine::FieldTypeName(field.type));
  if (field.unit == FieldUnit::kBytes) type += " (bytes)";
  if (field.unit == FieldUnit::kCount) type += " (count)";
  return type;
}

std::string Code(const std::string& text) { return "`" + text + "`"; }

std::string OperatorsOf(const Field& field) {
  std::string names;
  for (const Operator op : engine::OperatorsOf(field.type)) {
    names += (names.empty() ? "" : ", ") + Code(std::string(model::OperatorName(op)));
  }
  return names;
}

std::string ValuesOf(const Field& field) {
  std::string names;
  for (const std::string_view value : field.values) {
    names += (names.empty() ? " One of " : ", ") + Code(std::string(value));
  }
  return names.empty() ? names : names + ".";
}

}  // namespace

std::string PolicySchema() {
  Json schema = Json::parse(kFrame);
  Json& properties = schema["$defs"]["condition"]["properties"];
  for (const Field& field : engine::Fields()) {
    properties[std::string(field.name)] = SchemaOf(field);
  }
  Json& collect = schema["properties"]["collect"]["properties"];
  for (const model::SentField& field : model::SentFields()) {
    if (!field.as.has_value()) continue;
    collect[std::string(field.name)] = {{"description", field.description}, {"type", "boolean"}};
  }
  return schema.dump(2) + "\n";
}

std::string FieldsPage() {
  std::string page =
      "# Fields of a policy condition\n"
      "\n"
      "Made by `weighctl policy fields` from the table in `policy/engine/fields.cc`. What the "
      "types "
      "and operators mean says\n"
      "[the policy document](formats/policy-document.md).\n"
      "\n"
      "| field | type | operators | can be unknown | what it is |\n"
      "| --- | --- | --- | --- | --- |\n";
  for (const Field& field : engine::Fields()) {
    page += "| " + Code(std::string(field.name)) + " | " + TypeOf(field) + " | " +
            OperatorsOf(field) + " | " + (field.can_be_unknown ? "yes" : "") + " | " +
            std::string(field.description) + ValuesOf(field) + " |\n";
  }
  return page;
}

std::string CollectedPage() {
  std::string page =
      "# What is collected\n"
      "\n"
      "Made by `weighctl policy collected` from the table in `policy/model/settings.cc`. This is "
      "all "
      "that an endpoint tells its server of a\n"
      "model file; nothing else of its content leaves the machine. What can be withheld, a policy "
      "withholds by `collect` ([the policy\n"
      "document](formats/policy-document.md)); the endpoint judges by it all the same.\n"
      "\n"
      "| field | what it is | can be withheld |\n"
      "| --- | --- | --- |\n";
  for (const model::SentField& field : model::SentFields()) {
    page += "| " + Code(std::string(field.name)) + " | " + std::string(field.description) + " | " +
            (field.as.has_value() ? "yes" : "") + " |\n";
  }
  page +=
      "\n"
      "Beside this an endpoint tells its verdicts, each with the rule and its message; which roots "
      "it "
      "looked at and how well; the policies that\n"
      "it applied or refused; its host name, operating system and version of the agent, and a "
      "digest "
      "of its machine id.\n";
  return page;
}

}  // namespace weighmaster::lang
