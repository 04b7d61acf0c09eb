#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace weighmaster::report {

// Foreign text as the cell of a CSV file that a person may open in a spreadsheet. Escaped like a
// table's (base::EscapeForDisplay), so that it stays on its line. What a spreadsheet would take for
// a formula gets an apostrophe in front: text that begins with = + - @, their full-width forms, a
// tab or a carriage return, also after blanks. Text that begins with an apostrophe gets a second
// one, so that whoever takes one apostrophe off has the text again. Where ';' parts cells, a
// formula could begin after one; such a ';' is escaped.
// Source: https://owasp.org/www-community/attacks/CSV_Injection
std::string CsvText(std::string_view text);

// The same for text that came escaped for display already.
std::string CsvEscapedText(std::string_view text);

// A record of RFC 4180 with its CRLF. Cells with a comma, a quote, a blank at an end or a line's
// end are quoted, and else left as they are.
std::string CsvRecord(const std::vector<std::string>& cells);

}  // namespace weighmaster::report
