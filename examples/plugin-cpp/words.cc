// SPDX-License-Identifier: MIT
//
// A plugin in C++17: the action `words` counts the words of a text. C++ has no designated
// initialisers, so that a function makes the action; and no exception may leave a call of the host's:
// there is no way through C, the process would end. With installed headers this is all:
//
//     c++ -std=c++17 -shared -fPIC -o words.so words.cc
#include <millrace/plugin.h>

#include <exception>
#include <map>
#include <sstream>
#include <string>
#include <vector>

namespace {

using Counts = std::map<std::string, int64_t>;

Counts count_words(const std::string &text)
{
    Counts counts;
    std::istringstream words(text);
    for (std::string word; words >> word;) {
        counts[word]++;
    }
    return counts;
}

mr_status words(mr_task *t)
{
    const Counts counts = count_words(mr_param_str(t, "text"));
    std::vector<mr_member> members; // of what `counts` holds, which stays until the output is copied
    for (const auto &[word, count] : counts) {
        mr_member member{};
        member.key = word.c_str();
        member.value.type = MR_INT;
        member.value.u.i = count;
        members.push_back(member);
    }
    mr_value map{};
    map.type = MR_MAP;
    map.len = static_cast<uint32_t>(members.size());
    map.u.map = members.data();
    return counts.empty() ? mr_fail(t, MR_EFAILED, "a text without words") : mr_output(t, "counts", &map);
}

// What a call of the host's runs, whatever it throws.
template <mr_status (*Run)(mr_task *)> mr_status guarded(mr_task *t)
{
    try {
        return Run(t);
    } catch (const std::exception &error) {
        return mr_fail(t, MR_EFAILED, "%s", error.what());
    } catch (...) {
        return mr_fail(t, MR_EFAILED, "an exception that is none of the library's");
    }
}

mr_status self_test(mr_error *reterr)
{
    const Counts counts = count_words("to be or  not to be");
    MR_EXPECT(reterr, counts.size() == 4 && counts.at("to") == 2 && counts.at("or") == 1);
    MR_EXPECT(reterr, count_words(" ").empty());
    return MR_OK;
}

const mr_param params[] = {
    {"text", MR_STRING, MR_REQUIRED, nullptr, "whose words are counted"},
    {},
};

mr_action make_words()
{
    mr_action action = mr_action_make("words", guarded<words>, MR_ON_WORKER, params);
    action.help = "counts the words of a text";
    action.flags = MR_IDEMPOTENT;
    return action;
}

const mr_action action = make_words();

} // namespace

MR_PLUGIN_TESTED("words", "1.0.0", self_test, &action);
