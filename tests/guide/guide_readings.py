"""How the guide is read where it leaves something open, and which tests show that it is so."""

from __future__ import annotations

import ast
from functools import cache

from guide_snippets import ROOT

_NOTES = "tests/guide/test_notes_of_the_guide.py"
_SCANNED = "tests/guide/test_autodiscovery.py"
_SERVICES = "tests/guide/test_notes_of_services.py"
_OTHER = "tests/guide/test_notes_other_guides.py"
_CONSOLE = "tests/guide/test_guide_console.py"
_SIGNALS = "tests/guide/test_guide_signals.py"
_ACTIONS = "tests/guide/test_guide_actions.py"
_APPLICATION = "tests/guide/test_guide_application.py"
_CLASSES = "tests/guide/test_guide_classes.py"
_SETS = "tests/unit/tables/test_set_tables.py"
_SETTINGS = "tests/unit/settings/test_settings.py"
_APP_SETTINGS = "tests/unit/settings/test_app_settings.py"
_EFFECTS = "tests/unit/settings/test_effects_of_streams.py"
_EFFECTS_OF_WEB = "tests/unit/settings/test_effects_of_web_and_worker.py"
_CLASS_SETTINGS = "tests/unit/settings/test_class_settings.py"
_THREADS = "tests/unit/app/test_eight_threads.py"
_NAMES = "tests/unit/test_names.py"
_VIEWS = "tests/unit/web/test_web_views.py"
_URLS = "tests/unit/utils/test_urls.py"
_AGENTS = "tests/unit/vocabulary/test_vocabulary_agents.py"
_APP = "tests/unit/vocabulary/test_vocabulary_app.py"
_STREAMS = "tests/unit/vocabulary/test_vocabulary_streams.py"
_CHANNELS = "tests/unit/vocabulary/test_vocabulary_channels.py"

#: What holds -> files and tests.
READINGS: dict[str, list[tuple[str, str]]] = {
    "All six signals are connected to with and without `.connect`, on the app and on the class; "
    "the decorated name stays the function.": [
        (_NOTES, "test_a_synchronous_signal_is_connected_to_with_and_without_connect"),
        (_NOTES, "test_an_asynchronous_signal_is_connected_to_with_and_without_connect"),
    ],
    "A synchronous signal refuses an `async def` handler when it is connected.": [
        (_NOTES, "test_a_synchronous_signal_refuses_an_async_handler_when_it_is_connected"),
    ],
    "`conf.broker_url = None` means the default; `broker_url` and `store_url` are the settings "
    "`broker` and `store`.": [
        (_SIGNALS, "test_a_handler_changes_the_configuration_while_it_is_read"),
        (_APP_SETTINGS, "test_broker_url_none_means_the_default"),
        (_SETTINGS, "test_broker_url_and_store_url_are_the_settings_broker_and_store"),
    ],
    "`app.Set` has `add`, `discard`, `remove`, `in`, `len`, iteration, operators, `update`, "
    "`clear`; `app.SetTable` exists beside it.": [
        (_SETS, "test_a_set_tracks_membership_and_nothing_else"),
        (_SETS, "test_a_set_has_the_operators_of_a_set_and_takes_any_iterable"),
        (_SETS, "test_all_methods_of_a_set_change_it"),
    ],
    "`table['missing']` adds the key with its default.": [
        (_ACTIONS, "test_a_missing_key_is_added_with_its_default"),
    ],
    "Writing a table from a timer, a page, a channel, or with `concurrency` above one raises and "
    "says which table and what to do.": [
        (_ACTIONS, "test_a_table_is_written_only_by_who_reads_a_topic_in_order"),
        (_NOTES, "test_a_page_may_not_write_a_table"),
    ],
    "`send` takes the value by position or by name, on channels, topics and agents.": [
        (_NOTES, "test_what_is_sent_is_given_by_position_or_by_name"),
    ],
    "Every class path that the guide prints can be imported.": [
        (_CLASSES, "test_the_class_whose_path_is_given_works"),
        (
            "tests/unit/settings/test_known_settings.py",
            "test_every_class_path_that_the_guide_prints_can_be_imported",
        ),
    ],
    "`agents` prints the guide's box character for character, in a pipe and on a terminal.": [
        (_CONSOLE, "test_the_table_of_agents_is_the_one_of_the_guide"),
        (
            "tests/cli/test_listing.py",
            "test_on_a_real_terminal_it_is_the_table_of_the_guide_in_colour",
        ),
    ],
    "A script names its module by its path from the working directory; the same app has the same "
    "topics however it is started.": [
        (_NAMES, "test_a_script_is_named_by_its_path_from_the_working_directory"),
        (_NAMES, "test_an_agent_has_the_same_name_however_it_is_started"),
    ],
    "An agent's topic is `{conf.id}-{module}.{agent}`, with `-v2` from version 2 on.": [
        (_NOTES, "test_the_topic_of_an_agent_carries_the_version_from_the_second_on"),
    ],
    "`send @myagent hello` makes the worker print `b'hello'`: without type and serializer, JSON is "
    "read where it is JSON, bytes are handed over where it is not.": [
        (_CONSOLE, "test_what_is_sent_to_an_agent_is_printed_by_its_worker"),
        (_NOTES, "test_an_untyped_topic_gives_json_where_it_is_json_and_bytes_where_it_is_not"),
    ],
    "With a type or a serializer an undecodable value goes the way of the policy.": [
        (_NOTES, "test_with_a_type_or_a_serializer_what_cannot_be_decoded_goes_to_the_policy"),
    ],
    "`@agent` is found by name, and by `module.name` where two are alike; an unknown one lists "
    "what there is.": [
        ("tests/cli/test_send.py", "test_agents_are_found_by_name_and_by_module"),
        ("tests/cli/test_send.py", "test_what_cannot_be_sent_is_one_sentence"),
    ],
    "A view that returns nothing answers 204; a missing parameter is a 400 that names it.": [
        (_CONSOLE, "test_a_view_answers_while_the_worker_runs"),
        (_VIEWS, "test_a_missing_parameter_is_400_and_names_it_unless_it_is_handled"),
    ],
    "A handler takes `(self, request)`, `(request)`, or parameters from the path.": [
        (_VIEWS, "test_handlers_take_the_view_or_not_and_parameters_of_the_path"),
    ],
    "`id_format` may use `{id}` and `{self}`; a format of one's own holds for every version.": [
        (_SETTINGS, "test_the_id_is_composed"),
        (_NOTES, "test_a_custom_id_format_holds_for_the_first_version_too"),
    ],
    "`broker` is several hosts by `;`, `,` or as a list; `kafka://` and `aiokafka://` are one "
    "driver; a scheme may be the path of a driver.": [
        (_URLS, "test_broker_urls"),
        (_URLS, "test_broker_urls_have_hosts_and_ports"),
        (_URLS, "test_kafka_and_aiokafka_are_one_driver"),
        (_NOTES, "test_a_broker_may_be_a_class_of_ones_own"),
    ],
    "Durations are seconds or `timedelta`.": [
        ("tests/unit/utils/test_times_and_ids.py", "test_durations_are_seconds"),
    ],
    "Command line, environment, config source, keyword, default, in this order; `faust settings` "
    "shows where each value came from.": [
        (_APP_SETTINGS, "test_command_line_environment_source_keyword_default"),
        (_APP_SETTINGS, "test_settings_are_taken_from_a_module_an_object_a_path_and_a_mapping"),
        (
            "tests/unit/settings/test_settings_command.py",
            "test_every_setting_is_shown_with_its_value_and_where_it_came_from",
        ),
        (_SETTINGS, "test_the_data_directory_is_read_from_each_of_its_variables"),
    ],
    "An unknown setting is an error with a suggestion.": [
        (_SETTINGS, "test_an_unknown_setting_is_an_error_with_a_suggestion"),
    ],
    "A setting that is a class takes it or its path; a path that leads nowhere is named.": [
        (_CLASS_SETTINGS, "test_a_class_may_be_given_as_class_and_as_path"),
        (
            _CLASS_SETTINGS,
            "test_a_path_that_leads_nowhere_names_setting_path_and_what_is_missing",
        ),
    ],
    "`stream_buffer_maxsize` counts the records handed out and not finished.": [
        (_EFFECTS, "test_a_stream_holds_so_many_events_that_are_not_acknowledged"),
        (_STREAMS, "test_no_more_events_are_out_than_the_buffer_may_hold"),
    ],
    "`broker_commit_livelock_soft_timeout` names agent and place, only while something is in "
    "progress.": [
        (_EFFECTS, "test_an_agent_that_stays_inside_one_event_is_named"),
    ],
    "`loghandlers` are the worker's only log handlers.": [
        (_EFFECTS_OF_WEB, "test_given_handlers_are_the_only_ones"),
    ],
    "`table_standby_replicas=1` with a single worker is one line and no warning.": [
        (_NOTES, "test_standby_replicas_with_a_single_worker_are_told_of_once"),
    ],
    "`reply_create_topic=True` makes the reply topic at the start; RPC works without.": [
        (_EFFECTS, "test_the_reply_topic_is_made_and_named_as_the_settings_say"),
        (_AGENTS, "test_ask_returns_what_the_agent_yields"),
    ],
    "Eight threads may use one app at once.": [
        (_THREADS, "test_an_app_is_configured_once_however_many_ask"),
        (_THREADS, "test_eight_threads_use_a_running_app"),
        (_THREADS, "test_a_thread_without_a_loop_sends_before_the_app_runs"),
    ],
    "Several apps in one process, in one loop or in several, do not touch each other.": [
        (_APPLICATION, "test_two_apps_in_one_process_do_not_touch_each_other"),
        (_THREADS, "test_apps_in_loops_of_their_own_do_not_touch_each_other"),
    ],
    "Autodiscovery scans the origin's package, the packages that are named, or nothing; with "
    "Django, all of its apps.": [
        (_APPLICATION, "test_true_scans_the_package_of_the_origin"),
        (_APPLICATION, "test_agents_are_found_in_the_packages_that_are_named"),
        (_EFFECTS, "test_packages_are_scanned_that_autodiscover_names"),
        (_SCANNED, "test_the_origin_is_a_package_or_a_module_in_it"),
        (_SCANNED, "test_what_is_named_is_scanned_and_nothing_else"),
        (
            "tests/django/test_django_project.py",
            "test_agents_of_all_apps_are_found_and_use_the_models",
        ),
        (
            "tests/django/test_django_project.py",
            "test_all_apps_are_scanned_without_an_origin_and_with_django_not_set_up",
        ),
    ],
    "An import error in a scanned package ends the worker with the traceback.": [
        (_SERVICES, "test_an_import_error_in_a_package_that_is_scanned_ends_the_worker"),
        (_SCANNED, "test_an_error_of_ones_own_in_a_scanned_module_is_shown_with_its_line"),
    ],
    "Everything is found, each once, however often it is imported; never `__main__` or tests.": [
        (_SERVICES, "test_everything_is_found_and_each_once_however_often_it_is_imported"),
        ("tests/unit/utils/test_venusian.py", "test_main_and_tests_are_left_out"),
    ],
    "The parts of Faust are services with their life cycle; no service machinery per event.": [
        (_SERVICES, "test_the_parts_of_faust_are_services"),
        (_SERVICES, "test_parts_of_a_running_app_are_started_and_stopped_with_it"),
        (_SERVICES, "test_tasks_and_timers_of_a_service_of_the_app_run"),
        (_SERVICES, "test_no_method_of_a_service_is_called_for_an_event"),
    ],
    "A service may live in a thread and be added with `@app.service`.": [
        (_SERVICES, "test_a_service_may_live_in_a_thread_and_be_one_of_the_apps"),
    ],
}

#: What other guides of earlier versions print and what failed -> files and tests.
AS_PRINTED: dict[str, list[tuple[str, str]]] = {
    "`@app.on_before_configured`, `@app.on_after_configured`, `@app.on_worker_init` without "
    "`.connect`": [
        (_SIGNALS, "test_handlers_are_told_before_and_after"),
        (_SIGNALS, "test_the_worker_program_tells_that_it_begins"),
    ],
    "`conf.broker_url = ...`, `conf.store_url = ...`": [
        (_SIGNALS, "test_a_handler_changes_the_configuration_while_it_is_read"),
    ],
    "`users = app.Set(...)`, `users.add(x)`": [(_ACTIONS, "test_a_set_knows_who_is_in_it")],
    "`app.channel(key_serializer=...)`": [(_OTHER, "test_a_channel_takes_serializers")],
    "`@app.command(argument('a'))` on a function without `self`": [
        ("tests/cli/test_custom_commands.py", "test_options_and_arguments_are_given_by_name"),
    ],
    "`agent.send(value)`": [(_NOTES, "test_what_is_sent_is_given_by_position_or_by_name")],
    "`await channel.put(1)`, then iterating": [
        (_OTHER, "test_what_is_in_a_channel_before_anybody_iterates_is_kept"),
    ],
    "`stream.take(100)`": [(_OTHER, "test_take_needs_no_within")],
    "`await event.ack()`": [(_OTHER, "test_an_acknowledgement_may_be_awaited")],
    "`orders.group_by(get_order_account_id)`": [
        (_OTHER, "test_a_function_to_group_by_gives_the_name"),
    ],
    "`@app.agent` without brackets; `filter(lambda: ...)`": [
        (_OTHER, "test_an_agent_and_a_filter_work_without_brackets_and_with_a_function"),
        (_STREAMS, "test_a_filter_is_a_function"),
    ],
    "`@app.crontab(..., tz=...)`": [
        (_APP, "test_a_crontab_runs_at_its_hour_in_its_zone"),
    ],
    "`faust.topic(...)`": [
        (_OTHER, "test_what_belongs_to_an_app_is_not_in_the_module_and_the_error_says_so"),
    ],
    "a `ChoiceField` of one's own": [
        ("tests/compat/test_third_party_interfaces.py", "test_a_field_of_ones_own_validates"),
    ],
    "`Agent.test()`": [(_OTHER, "test_an_agent_is_tested_by_its_test_context")],
    "`faust clean_versions`": [
        ("tests/cli/test_program.py", "test_underscores_are_as_good_as_hyphens"),
    ],
}


@cache
def _tests_in(file: str) -> frozenset[str]:
    path = ROOT / file
    if not path.exists():
        return frozenset()
    tree = ast.parse(path.read_text("utf-8"))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, kinds))


def _home(file: str, test: str) -> str:
    """Return the file of a test: the one that is named, or one beside it that has it now."""
    beside = sorted((ROOT / file).parent.glob("test_*.py"))
    files = [file, *(str(path.relative_to(ROOT)) for path in beside)]
    return next((name for name in files if test in _tests_in(name)), "")


def missing_tests() -> list[str]:
    """Return the tests named here that are not there."""
    named = [pair for table in (READINGS, AS_PRINTED) for pairs in table.values() for pair in pairs]
    return [f"{file}::{test}" for file, test in named if not _home(file, test)]


def rows(table: dict[str, list[tuple[str, str]]]) -> list[str]:
    """Return the rows of a table for the documents."""
    return [
        f"| {what} | {', '.join(f'[`{test}`](../{_home(file, test)})' for file, test in pairs)} |"
        for what, pairs in table.items()
    ]
