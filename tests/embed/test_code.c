/* SPDX-License-Identifier: MIT
 *
 * Goal: a program needs no files: its actions come with the options, its dags are written in code,
 * and both are judged as those that come from files. Method: the public calls; a run that uses all
 * that can be set shows that it has arrived.
 */
#include <semaphore.h>

#include "embed_fixture.h"

/* ---- actions -------------------------------------------------------------------------------- */

static void actions__are_listed_as_built_in(void **state)
{
    mr_engine *engine = embed_open_default();
    char *json;
    assert_int_equal(mr_call(engine, "{\"op\":\"actions\",\"name\":\"say\"}", &json, NULL), MR_OK);
    assert_non_null(strstr(json, "\"name\":\"say\",\"plugin\":\"the program\""));
    assert_non_null(strstr(json, "\"file\":null"));
    assert_non_null(strstr(json, "\"help\":\"what to say\",\"default\":\"hello\""));
    mr_free(json);
    mr_close(engine);
}

static mr_status open_with(const mr_action *const *actions, const char *plugins, mr_error *reterr)
{
    mr_engine *engine = NULL;
    mr_options options = MR_OPTIONS(.store = embed_store, .actions = actions, .plugins = plugins);
    mr_status status = mr_open(&options, &engine, reterr);
    mr_close(engine);
    return status;
}

static void actions__that_are_none_are_refused(void **state)
{
    mr_error error;
    const mr_action no_run = MR_ACTION(.name = "no-run");
    const mr_action *const without_run[] = {&no_run, NULL};
    assert_int_equal(open_with(without_run, NULL, &error), MR_EABI);
    assert_string_equal(error.message, "the program: action \"no-run\" has no run");

    const mr_action *const twice[] = {&embed_say_action, &embed_say_action, NULL};
    assert_int_equal(open_with(twice, NULL, &error), MR_EABI);
    assert_string_equal(error.message, "the program: two actions named \"say\"");

    const mr_action lua = MR_ACTION(.name = "lua", .run = embed_say);
    const mr_action *const taken[] = {&lua, NULL};
    assert_int_equal(open_with(taken, NULL, &error), MR_EABI);
    assert_string_equal(error.message,
                        "the program: action \"lua\" is already that of millrace itself");

    /* It ran in the program all the same. */
    const mr_action apart = MR_ACTION(.name = "apart", .flags = MR_ISOLATED, .run = embed_say);
    const mr_action *const isolated[] = {&apart, NULL};
    assert_int_equal(open_with(isolated, NULL, &error), MR_EABI);
    assert_string_equal(error.message,
                        "the program: action \"apart\" cannot be isolated: put it into a plugin");

    const char *text = "{\"id\":\"d\",\"tasks\":[{\"id\":\"t\",\"action\":\"say\","
                       "\"isolation\":\"process\"}]}";
    mr_validate_options validate =
        MR_VALIDATE(.text = text, .text_len = strlen(text), .actions = embed_actions);
    assert_int_equal(mr_validate_with(&validate, NULL, &error), MR_EDEFINITION);
    assert_non_null(strstr(error.message, "cannot be isolated: it is the program's own"));

    const mr_action *const none[] = {NULL};
    assert_int_equal(open_with(none, NULL, &error), MR_OK);
}

static void actions__and_a_plugin_with_the_same_name(void **state)
{
    mr_error error;
    char plugins[96], file[128];
    (void)snprintf(plugins, sizeof plugins, "%s/plugins", embed_store);
    (void)snprintf(file, sizeof file, "%s/say.lua", plugins);
    assert_int_equal(mkdir(plugins, 0700), 0);
    FILE *out = fopen(file, "we");
    assert_non_null(out);
    (void)fputs("return {name = \"say\", run = function() end}\n", out);
    (void)fclose(out);
    assert_int_equal(open_with(NULL, plugins, &error), MR_OK);
    assert_int_equal(open_with(embed_actions, plugins, &error), MR_EABI);
    assert_non_null(
        strstr(error.message, "say.lua: action \"say\" is already that of the program"));
}

static void actions__are_known_without_a_store(void **state)
{
    mr_error error;
    char *json = NULL;
    mr_validate_options validate =
        MR_VALIDATE(.text = EMBED_SAY, .text_len = strlen(EMBED_SAY), .actions = embed_actions);
    assert_int_equal(mr_validate_with(&validate, NULL, &error), MR_OK);
    validate.actions = NULL;
    assert_int_equal(mr_validate_with(&validate, NULL, &error), MR_EDEFINITION);

    mr_plan_options plan =
        MR_PLAN(.text = EMBED_SAY, .text_len = strlen(EMBED_SAY), .actions = embed_actions);
    assert_int_equal(mr_plan(&plan, &json, &error), MR_OK);
    assert_non_null(strstr(json, "\"action\":\"say\""));
    mr_free(json);

    mr_schema_options schema = MR_SCHEMA(.actions = embed_actions);
    assert_int_equal(mr_schema_with(&schema, &json, &error), MR_OK);
    assert_non_null(strstr(json, "\"const\":\"say\""));
    mr_free(json);
    assert_int_equal(mr_schema_with(NULL, &json, &error), MR_EINVAL);
    assert_int_equal(mr_schema(NULL, &json, &error), MR_OK);
    assert_null(strstr(json, "\"const\":\"say\""));
    mr_free(json);
}

static sem_t begun, go_on, gone_on;

static mr_status stuck_run(mr_task *t)
{
    mr_value value = {.type = MR_NULL};
    assert_int_equal(sem_post(&begun), 0);
    assert_int_equal(sem_wait(&go_on), 0);
    (void)mr_share_set(t, "key", &value);
    assert_int_equal(mr_finish_after(t, 1), MR_EINVAL); /* on a worker */
    assert_int_equal(mr_cancel_reason(t), MR_BY_SHUTDOWN);
    assert_int_equal(sem_post(&gone_on), 0);
    return MR_OK;
}

/* Closing does not wait for ever for a worker: its calls looked at memory of the handle. */
static void actions__may_outlive_their_handle(void **state)
{
    static const mr_action stuck = MR_ACTION(.name = "stuck", .run = stuck_run);
    const mr_action *const actions[] = {&stuck, NULL};
    mr_options options = MR_OPTIONS(.store = embed_store, .actions = actions, .shutdown_ms = 50);
    mr_start_options start =
        MR_START(.text = "{\"id\":\"d\",\"tasks\":[{\"id\":\"t\",\"action\":\"stuck\"}]}");
    char run[MR_RUN_ID_BYTES];
    assert_int_equal(sem_init(&begun, 0, 0), 0);
    assert_int_equal(sem_init(&go_on, 0, 0), 0);
    assert_int_equal(sem_init(&gone_on, 0, 0), 0);
    mr_engine *engine = embed_open(&options);
    assert_int_equal(mr_start(engine, &start, run, NULL), MR_OK);
    assert_int_equal(sem_wait(&begun), 0);
    mr_close(engine);
    assert_int_equal(sem_post(&go_on), 0);
    assert_int_equal(sem_wait(&gone_on), 0);
    assert_int_equal(sem_destroy(&begun), 0);
    assert_int_equal(sem_destroy(&go_on), 0);
    assert_int_equal(sem_destroy(&gone_on), 0);
}

/* ---- dags ----------------------------------------------------------------------------------- */

static char *run_dag(mr_dag *dag, const char *vars)
{
    mr_engine *engine = embed_open_default();
    mr_start_options start = MR_START(.dag = dag, .vars_json = vars);
    char run[MR_RUN_ID_BYTES], request[128], *json = NULL;
    const char *name = "";
    mr_error error = {.message = ""};
    if (mr_start(engine, &start, run, &error) != MR_OK) {
        fail_msg("%s", error.message);
    }
    assert_int_equal(mr_wait(engine, run, EMBED_WAIT_MS, &name, &error), MR_OK);
    assert_string_equal(name, "success");
    (void)snprintf(request, sizeof request, "{\"op\":\"show\",\"run\":\"%s\"}", run);
    assert_int_equal(mr_call(engine, request, &json, &error), MR_OK);
    mr_close(engine);
    return json;
}

static void dag__with_everything_runs(void **state)
{
    mr_dag *dag = mr_dag_create("all");
    mr_dag_set(dag, "desc", "\"all that can be set\"");
    mr_dag_set(dag, "timeout", "\"1m\"");
    mr_dag_var(dag, "who", "{\"type\":\"string\",\"defaultValue\":\"you\"}");
    mr_dag_var(dag, "plain", "null");
    mr_dag_task(dag, "first", "say");
    mr_dag_task(dag, "second", "say");
    mr_dag_task(dag, "third", NULL);
    mr_dag_param_str(dag, "first", "text", "hello {{who}}");
    mr_dag_param(dag, "second", "text", "\"again\"");
    mr_dag_depend(dag, "second", "first");
    mr_dag_task_set(dag, "second", "retry", "{\"max\":2,\"delay\":\"1s\"}");
    mr_dag_depend(dag, "third", "first");
    mr_dag_depend(dag, "third", "second");
    mr_dag_task_set(dag, "third", "action", "\"nap\"");
    mr_dag_param_int(dag, "third", "ms", 1);
    mr_dag_task_set(dag, "third", "runIf", "\"tasks.second.output.said == 'again!'\"");
    char *json = run_dag(dag, "{\"who\":\"Ada\"}");
    assert_non_null(strstr(json, "\"said\":\"hello Ada!\""));
    assert_non_null(strstr(json, "\"said\":\"again!\""));
    assert_null(strstr(json, "skipped"));
    mr_free(json);
    mr_dag_destroy(dag);
    mr_dag_destroy(NULL);
}

/* JSON has characters as they are that end a line, or are refused, in YAML. */
static void dag__text_arrives_whatever_is_in_it(void **state)
{
    static const char *const texts[] = {
        "",
        "a\nb\tc\\d\"e'f: # {[-",
        "\x7f",
        "\xc2\x80 \xc2\x85 \xc2\x9f \xc2\xa0",
        "\xe2\x80\xa8 \xe2\x80\xa9 \xef\xbb\xbf \xef\xbf\xbe \xef\xbf\xbf",
        "\xf0\x9f\x98\x80 \xed\x9f\xbf \x01",
        "null",
        "1e5",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        mr_dag *dag = mr_dag_create("texts");
        mr_dag_task(dag, "t", "say");
        mr_dag_param_str(dag, "t", "text", texts[i]);
        char *json = run_dag(dag, NULL);
        mr_engine *engine = embed_open_default();
        char *output;
        assert_int_equal(mr_call(engine, "{\"op\":\"show\",\"run\":\"-\"}", &output, NULL), MR_OK);
        const char *said = strstr(output, "\"said\":\"");
        assert_non_null(said);
        said += strlen("\"said\":\"");
        if (strpbrk(texts[i], "\n\t\\\"\x01\x7f") == NULL) { /* these JSON escapes */
            assert_memory_equal(said, texts[i], strlen(texts[i]));
            assert_memory_equal(said + strlen(texts[i]), "!\"", 2);
        } else {
            assert_non_null(strstr(said, "!\""));
        }
        mr_free(output);
        mr_free(json);
        mr_close(engine);
        mr_dag_destroy(dag);
    }
}

static void expect_fault(mr_dag *dag, mr_status status, const char *message)
{
    const char *text = NULL;
    mr_error error = {.message = ""};
    assert_int_equal(mr_dag_text(dag, &text, &error), status);
    assert_null(text);
    assert_string_equal(error.message, message);
    mr_dag_destroy(dag);
}

static mr_dag *with_task(void)
{
    mr_dag *dag = mr_dag_create("d");
    mr_dag_task(dag, "t", "say");
    return dag;
}

static void dag__first_fault_is_remembered(void **state)
{
    mr_dag *dag = with_task();
    mr_dag_param(dag, "t", "text", "{");
    mr_dag_task(dag, "t", "say"); /* wrong too, but later */
    const char *text = NULL;
    mr_error error;
    assert_int_equal(mr_dag_text(dag, &text, &error), MR_EINVAL);
    assert_non_null(strstr(error.message, "\"text\": "));

    /* A start tells it too. */
    mr_engine *engine = embed_open_default();
    mr_start_options start = MR_START(.dag = dag);
    char run[MR_RUN_ID_BYTES];
    mr_error told;
    assert_int_equal(mr_start(engine, &start, run, &told), MR_EINVAL);
    assert_string_equal(told.message, error.message);
    mr_close(engine);
    mr_dag_destroy(dag);
}

static void dag__each_fault_has_its_words(void **state)
{
    mr_dag *dag = with_task();
    mr_dag_task(dag, "t", "say");
    expect_fault(dag, MR_EINVAL,
                 "the task \"t\" of the dag is set already, or has a call of its own");
    dag = with_task();
    mr_dag_param_str(dag, "u", "text", "x");
    expect_fault(dag, MR_EINVAL, "there is no task \"u\" yet");
    dag = with_task();
    mr_dag_param_int(dag, "t", "n", 1);
    mr_dag_param_int(dag, "t", "n", 2);
    expect_fault(dag, MR_EINVAL, "the param \"n\" of t is set already, or has a call of its own");
    dag = with_task();
    mr_dag_set(dag, "tasks", "[]");
    expect_fault(dag, MR_EINVAL,
                 "the key \"tasks\" of the dag is set already, or has a call of its own");
    dag = with_task();
    mr_dag_task_set(dag, "t", "params", "{}");
    expect_fault(dag, MR_EINVAL,
                 "the key \"params\" of t is set already, or has a call of its own");
    dag = with_task();
    mr_dag_var(dag, NULL, "1");
    expect_fault(dag, MR_EINVAL, "a variable is NULL");
    dag = with_task();
    mr_dag_set(dag, "desc", NULL);
    expect_fault(dag, MR_EINVAL, "\"desc\": NULL is no JSON");
    dag = with_task();
    mr_dag_param_str(dag, "t", "text", NULL);
    expect_fault(dag, MR_EINVAL, "param \"text\" of task \"t\" is NULL");
    dag = with_task();
    mr_dag_param_str(dag, "t", NULL, NULL);
    expect_fault(dag, MR_EINVAL, "a param is NULL");
    expect_fault(mr_dag_create(NULL), MR_EINVAL, "a dag needs an id");
    const char *text;
    mr_error error;
    assert_int_equal(mr_dag_text(NULL, &text, &error), MR_ENOMEM);
    dag = with_task();
    assert_int_equal(mr_dag_text(dag, NULL, &error), MR_EINVAL);
    mr_dag_destroy(dag);

    /* A dag that could not be made takes all calls. */
    mr_dag_set(NULL, "desc", "1");
    mr_dag_var(NULL, "v", "1");
    mr_dag_task(NULL, "t", "say");
    mr_dag_param(NULL, "t", "p", "1");
    mr_dag_param_str(NULL, "t", "p", "x");
    mr_dag_param_int(NULL, "t", "p", 1);
    mr_dag_depend(NULL, "t", "u");
    mr_dag_task_set(NULL, "t", "k", "1");
}

/* An empty id was taken for the dag itself, which has an id already. */
static void dag__empty_task_id_is_the_parsers_business(void **state)
{
    mr_dag *dag = with_task();
    const char *text;
    mr_error error = {.message = ""};
    mr_dag_task(dag, "", "say");
    mr_dag_param_str(dag, "", "text", "x");
    assert_int_equal(mr_dag_text(dag, &text, &error), MR_OK);
    mr_validate_options validate =
        MR_VALIDATE(.text = text, .text_len = strlen(text), .actions = embed_actions);
    assert_int_equal(mr_validate_with(&validate, NULL, &error), MR_EDEFINITION);
    assert_non_null(strstr(error.message, "the task id \"\" is not allowed"));
    mr_dag_destroy(dag);
}

/* What the names mean is the parser's business, with the place in the text. */
static void dag__is_checked_as_a_file(void **state)
{
    mr_engine *engine = embed_open_default();
    mr_dag *dag = with_task();
    char run[MR_RUN_ID_BYTES];
    mr_error error;
    mr_dag_task_set(dag, "t", "rety", "{}");
    mr_start_options start = MR_START(.dag = dag, .file = "code");
    assert_int_equal(mr_start(engine, &start, run, &error), MR_EDEFINITION);
    assert_non_null(strstr(error.message, "code:2:"));
    assert_non_null(strstr(error.message, "rety"));
    mr_dag_destroy(dag);
    mr_close(engine);
}

#define CODE_TEST(test) cmocka_unit_test_setup_teardown(test, embed_set_up, embed_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CODE_TEST(actions__are_listed_as_built_in),
        CODE_TEST(actions__that_are_none_are_refused),
        CODE_TEST(actions__and_a_plugin_with_the_same_name),
        CODE_TEST(actions__are_known_without_a_store),
        CODE_TEST(actions__may_outlive_their_handle),
        CODE_TEST(dag__with_everything_runs),
        CODE_TEST(dag__text_arrives_whatever_is_in_it),
        CODE_TEST(dag__first_fault_is_remembered),
        CODE_TEST(dag__each_fault_has_its_words),
        CODE_TEST(dag__empty_task_id_is_the_parsers_business),
        CODE_TEST(dag__is_checked_as_a_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
