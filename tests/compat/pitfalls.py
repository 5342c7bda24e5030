"""What is documented for Faust elsewhere and broken there, and what shows that it works here.

``A`` was not implemented, ``B`` accepted and ignored, ``C`` wrong, ``D`` an example that fails as
printed.  Each has tests, named below ``tests/``, or the reason why there are none: what it is about
is not here (yet).
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["PITFALLS", "Pitfall"]


class Pitfall(NamedTuple):
    """One of them.

    Attributes:
        what: In a few words.
        tests: Files below ``tests/``, and tests in them: ``unit/test_x.py::test_y``.
        because: Why there are no tests.
    """

    what: str
    tests: tuple[str, ...] = ()
    because: str = ""


def shown(what: str, *tests: str) -> Pitfall:
    """It works here, as these tests show."""
    return Pitfall(what, tests)


def absent(what: str, because: str) -> Pitfall:
    """It is not here."""
    return Pitfall(what, because=because)


_LATER_JOINS = "streams and tables are not joined or combined yet"
_LATER_LIVECHECK = "LiveCheck is not there yet"
_LATER_BLUEPRINTS = "blueprints and caches of views are not there yet"
_ONE_DRIVER = "there is no confluent:// driver"

_APP = "unit/vocabulary/test_vocabulary_app.py"
_AGENTS = "unit/vocabulary/test_vocabulary_agents.py"
_BAD = "unit/vocabulary/test_bad_input.py"
_CHANNELS = "unit/vocabulary/test_vocabulary_channels.py"
_STREAMS = "unit/vocabulary/test_vocabulary_streams.py"
_TABLES = "unit/vocabulary/test_vocabulary_tables.py"
_TIMERS = "unit/vocabulary/test_vocabulary_timers.py"
_UNFINISHED = "unit/vocabulary/test_unfinished_events.py"
_WINDOWED = "unit/tables/test_windowed_tables.py"
_EXPIRY = "unit/tables/test_window_expiry.py"
_SETS = "unit/tables/test_set_tables.py"
_GLOBALS = "unit/tables/test_global_tables.py"
_WINDOWS = "unit/test_windows.py"
_FIELDS = "unit/models/test_model_fields.py"
_RECORDS = "unit/models/test_model_records.py"
_CODECS = "unit/serializers/test_serializer_codecs.py"
_SETTINGS = "unit/settings/test_settings.py"
_PAGES = "unit/web/test_web_pages.py"
_ROUTING = "unit/web/test_web_routing.py"
_PROGRAM = "cli/test_program.py"
_COMMANDS = "cli/test_custom_commands.py"
_HERE_TOPICS = "compat/test_topics_and_channels.py"
_HERE_TABLES = "compat/test_tables_on_disk.py"
_HERE_AGENTS = "compat/test_agents_and_monitors.py"

PITFALLS: dict[str, Pitfall] = {
    "A1": absent("joins of streams", _LATER_JOINS),
    "A2": absent("joins of tables", _LATER_JOINS),
    "A3": absent("combined streams, s1 & s2", _LATER_JOINS),
    "A4": shown("topics by pattern", f"{_CHANNELS}::test_a_pattern_finds_topics_that_appear_later"),
    "A5": shown(
        "clear() on RocksDB",
        f"{_HERE_TABLES}::test_a_table_that_was_cleared_is_empty_after_a_restart_too",
    ),
    "A6": absent("backup and restore of stores", "a store is restored from its changelog alone"),
    "A7": shown(
        "assigning and deleting keys of a SetTable",
        f"{_SETS}::test_sets_can_be_assigned_and_deleted",
        f"{_HERE_TABLES}::test_sets_come_back_from_disk_and_from_the_changelog",
    ),
    "A8": shown(
        "len, keys, items of windowed tables", f"{_WINDOWED}::test_iterating_needs_no_key_index"
    ),
    "A9": shown(
        "setting and deleting by event in windowed tables",
        f"{_WINDOWED}::test_setting_and_deleting_mean_every_window_of_the_event",
        f"{_WINDOWED}::test_an_event_or_a_range_can_be_named",
    ),
    "A10": shown(
        "send_soon and the name of a channel in memory",
        f"{_HERE_TOPICS}::test_a_channel_sends_soon_and_says_that_it_has_no_name",
        f"{_STREAMS}::test_a_channel_is_grouped_in_place",
    ),
    "A11": shown(
        "send_soon within transactions",
        "unit/engine/test_exactly_once.py::"
        "test_what_an_event_has_sent_that_fails_is_dropped_with_its_writes",
    ),
    "A12": absent("models other than records", "a model is a record here, and lists hold records"),
    "A13": shown(
        "sliding windows as a method",
        f"{_WINDOWED}::test_sliding_is_a_method_and_works_by_using_window",
    ),
    "A14": absent("delivery at a time, workflows", "nothing promises them"),
    "A15": shown(
        "unions and enums in records",
        f"{_RECORDS}::test_a_record_survives_the_wire",
        f"{_RECORDS}::test_a_union_that_json_cannot_tell_apart_takes_the_first_that_fits",
    ),
    "A16": shown(
        "app.Set, the settings Set and TopicConductor",
        f"{_SETS}::test_a_set_tracks_membership_and_nothing_else",
        "unit/settings/test_class_settings.py::test_a_method_of_a_subclass_is_called",
        "unit/settings/test_known_settings.py::test_each_setting_there_was_is_here_or_renamed_or_gone_with_a_reason",
    ),
    "A17": shown(
        "faust.Model, Command and AppCommand",
        f"{_RECORDS}::test_record_is_a_model_and_both_are_exported",
        f"{_PROGRAM}::test_the_classes_of_commands_are_public_names",
    ),
    "A18": absent("the confluent driver", _ONE_DRIVER),
    "A19": shown("responses as bytes", f"{_PAGES}::test_a_response_survives_being_kept_as_bytes"),
    "A20": absent("the guide of livecheck", _LATER_LIVECHECK),
    "B1": shown(
        "unknown settings",
        f"{_BAD}::test_a_setting_of_the_wrong_type_or_name_is_named",
        "unit/settings/test_known_settings.py::test_each_setting_there_was_is_here_or_renamed_or_gone_with_a_reason",
        f"{_SETTINGS}::test_an_unknown_setting_is_an_error_with_a_suggestion",
    ),
    "B2": shown(
        "maxsize of a topic", f"{_HERE_TOPICS}::test_maxsize_of_a_topic_limits_what_is_out"
    ),
    "B3": shown(
        "broker_producer",
        f"{_SETTINGS}::test_a_setting_that_is_gone_and_would_be_missed_is_an_error",
    ),
    "B4": shown("a custom id_format", f"{_SETTINGS}::test_the_id_is_composed"),
    "B5": shown(
        "APP_VERSION in the id", f"{_SETTINGS}::test_the_version_of_the_environment_enters_the_id"
    ),
    "B6": shown(
        "-D",
        "unit/settings/test_settings_command.py::test_the_short_option_for_the_data_directory_counts",
        f"{_PROGRAM}::test_the_data_directory_is_what_either_option_says",
        "cli/test_worker_options.py::test_the_data_directory_may_stand_before_or_behind",
    ),
    "B7": shown(
        "--debug and the setting debug",
        "unit/settings/test_settings_command.py::test_the_option_debug_turns_the_setting_on",
        f"{_PROGRAM}::test_debug_turns_on_the_setting_of_that_name",
    ),
    "B8": shown(
        "Agent.send(callback=)",
        f"{_HERE_AGENTS}::test_what_is_sent_to_an_agent_tells_its_callback_where_it_is",
    ),
    "B9": absent("Blueprint.route(base=)", _LATER_BLUEPRINTS),
    "B10": absent("Blueprint.static(name=), Cache(backend=)", _LATER_BLUEPRINTS),
    "B11": absent("LiveCheck(send_reports=)", _LATER_LIVECHECK),
    "B12": absent(
        "transactional_id= of a transaction manager",
        "there is no such manager: each worker has one transactional producer",
    ),
    "B13": shown(
        "FAUST_WEB_BIND",
        f"{_SETTINGS}::test_the_variable_for_the_address_has_no_doubled_prefix",
        "cli/test_worker_options.py::test_the_option_comes_before_the_environment",
    ),
    "B14": shown(
        "BLOCKING_TIMEOUT read at import",
        f"{_SETTINGS}::test_the_blocking_timeout_is_read_from_the_environment",
    ),
    "B15": shown(
        "options that clone(), derive() and info() lose",
        f"{_HERE_TOPICS}::test_what_is_derived_or_cloned_has_every_option_of_its_original",
        f"{_WINDOWED}::test_a_windowed_table_copied_is_windowed",
    ),
    "B16": shown(
        "producer_partitioner",
        "unit/settings/test_class_settings.py::test_the_assignor_finds_keys_by_the_partitioner_of_the_app",
    ),
    "B17": shown(
        "settings without effect",
        "unit/settings/test_known_settings.py::test_each_setting_there_was_is_here_or_renamed_or_gone_with_a_reason",
        f"{_SETTINGS}::test_a_setting_that_is_gone_and_harmless_is_ignored_with_a_warning",
    ),
    "B18": shown(
        "tables wrapped to the terminal",
        "cli/test_listing.py::test_on_a_terminal_long_help_is_wrapped_to_the_width",
    ),
    "B19": absent("wait_for_ack(timeout) of a consumer", "nothing waits for single acks"),
    "C1": shown(
        "a reply topic subscribed to twice",
        f"{_COMMANDS}::test_ask_works_in_a_command_and_the_process_ends",
        "unit/vocabulary/test_agents_asked.py::test_a_client_lives_in_each_of_two_event_loops_and_starts_nothing",
    ),
    "C2": shown(
        "more than 1,000 outstanding replies",
        f"{_AGENTS}::test_map_yields_and_join_keeps_the_order_with_two_thousand_outstanding",
        "unit/vocabulary/test_agents_asked.py::test_ten_thousand_are_outstanding_at_once",
    ),
    "C3": shown(
        "ask without a time-out, two replies to one request",
        f"{_AGENTS}::test_ask_gives_up_after_its_timeout_and_forgets_the_request",
        f"{_AGENTS}::test_a_second_yield_for_one_request_harms_nobody",
        "unit/vocabulary/test_agents_asked.py::test_a_time_out_names_agent_topic_and_seconds",
        "unit/vocabulary/test_agents_asked.py::test_a_second_answer_is_ignored_and_counted",
    ),
    "C4": shown(
        "3 seconds before the first question",
        f"{_HERE_AGENTS}::test_the_first_question_is_answered_as_fast_as_the_others",
        "unit/vocabulary/test_agents_asked.py::test_the_first_ask_does_not_wait_for_anything_but_its_answer",
    ),
    "C5": shown(
        "a client that runs tasks and timers",
        f"{_COMMANDS}::test_ask_works_in_a_command_and_the_process_ends",
        "unit/vocabulary/test_agents_asked.py::test_a_client_lives_in_each_of_two_event_loops_and_starts_nothing",
    ),
    "C6": shown(
        "on_error of an agent", f"{_AGENTS}::test_an_agent_may_have_its_own_policy_and_be_told"
    ),
    "C7": shown(
        "tables written with concurrency above one",
        f"{_TABLES}::test_only_a_stream_over_a_topic_may_write_a_table",
    ),
    "C8": shown(
        "two agents with one name",
        f"{_AGENTS}::test_two_agents_of_one_name_are_refused",
        f"{_SETS}::test_managers_have_topics_and_agents_of_their_own",
    ),
    "C9": shown(
        "test_context() wraps what is put",
        f"{_HERE_AGENTS}::test_an_agent_under_test_gets_its_values_plain_and_answers_them",
    ),
    "C10": absent("agent_stopper", "there is no such helper; the error policy stops the worker"),
    "C11": shown(
        "failing events are lost",
        f"{_AGENTS}::test_an_event_is_tried_again_until_it_succeeds",
        f"{_AGENTS}::test_an_agent_that_keeps_failing_stops_the_worker_and_loses_nothing",
    ),
    "C12": shown(
        "topics with acks=False", f"{_STREAMS}::test_topics_without_acks_are_never_committed"
    ),
    "C13": shown(
        "events that stay active in the monitor",
        f"{_HERE_AGENTS}::test_lists_and_events_acknowledged_by_hand_are_not_counted_as_active_for_ever",
    ),
    "C14": shown(
        "take() over iterables",
        f"{_HERE_TOPICS}::test_a_list_can_be_taken_from_a_plain_iterable",
        f"{_STREAMS}::test_take_hands_out_lists_that_are_full_or_due",
    ),
    "C15": shown("noack() that is lost", f"{_STREAMS}::test_noack_survives_further_operators"),
    "C16": shown("echo() without keys", f"{_STREAMS}::test_echo_keeps_keys_and_headers"),
    "C17": shown(
        "channels in memory that lose messages",
        f"{_CHANNELS}::test_what_is_put_before_anybody_reads_is_not_lost",
        f"{_AGENTS}::test_an_agent_reads_a_channel_also_what_was_sent_before_it_read",
    ),
    "C18": shown(
        "Event.acked, and async with event",
        f"{_STREAMS}::test_with_noack_only_what_was_acknowledged_is_committed",
    ),
    "C19": shown(
        "schemas changed by topics that share them",
        f"{_CHANNELS}::test_a_derived_topic_leaves_the_schema_of_its_original_alone",
        "unit/serializers/test_schemas.py::test_deriving_leaves_a_shared_schema_alone",
        "unit/serializers/test_schemas.py::test_repr_tells_both_types",
    ),
    "C20": shown(
        "45 seconds before a new topic is read",
        f"{_HERE_TOPICS}::test_what_is_read_from_a_running_app_is_subscribed_to_at_once",
    ),
    "C21": shown(
        "a client that hears of partition 0 only",
        f"{_AGENTS}::test_a_client_without_a_worker_asks_the_worker",
    ),
    "C22": shown("None is no tombstone", f"{_CHANNELS}::test_nothing_is_a_tombstone_and_not_json"),
    "C23": shown("SetGlobalTable", f"{_SETS}::test_a_global_set_table_is_global"),
    "C24": shown(
        "set tables on RocksDB lose what was recovered",
        f"{_HERE_TABLES}::test_sets_come_back_from_disk_and_from_the_changelog",
    ),
    "C25": shown(
        "reset_state() of one table deletes all",
        f"{_HERE_TABLES}::test_forgetting_what_is_kept_of_one_table_leaves_the_others_on_disk",
    ),
    "C26": shown(
        "now() and relative_to_now()",
        f"{_WINDOWED}::test_now_is_the_window_of_the_clock_whatever_the_events_say",
        f"{_EXPIRY}::test_relative_to_now_goes_by_the_clock",
    ),
    "C27": shown(
        "on_window_close without the value",
        f"{_EXPIRY}::test_a_window_leaves_store_and_changelog_when_its_time_has_come",
        f"{_EXPIRY}::test_a_subclass_can_hear_of_closed_windows",
    ),
    "C28": shown(
        "restored windows never expire, expiry leaves no tombstone",
        f"{_EXPIRY}::test_restored_windows_expire_too",
        f"{_EXPIRY}::test_a_window_leaves_store_and_changelog_when_its_time_has_come",
    ),
    "C29": shown(
        "expiry by the wall clock",
        f"{_EXPIRY}::test_replaying_old_data_closes_nothing_by_the_clock",
    ),
    "C30": shown(
        "steps that are no whole seconds, gaps between windows",
        f"{_WINDOWS}::test_ten_thousand_tenths_do_not_drift",
        f"{_WINDOWS}::test_the_end_of_a_window_is_the_start_of_the_next",
    ),
    "C31": shown(
        "windows that differ when compiled; expires=None",
        f"{_WINDOWS}::test_a_window_that_does_not_expire_is_never_stale",
        f"{_EXPIRY}::test_without_expires_nothing_ever_closes",
    ),
    "C32": shown(
        "a missing key is added", f"{_TABLES}::test_a_missing_key_is_added_with_its_default"
    ),
    "C33": shown(
        "deleted, then set to something false",
        f"{_HERE_TABLES}::test_a_key_that_is_deleted_and_set_to_zero_in_one_event_is_there",
    ),
    "C34": shown(
        "errors while restoring are swallowed",
        f"{_HERE_TABLES}::test_a_changelog_that_goes_wrong_while_it_is_restored_stops_the_worker_and_says_where",
    ),
    "C35": shown(
        "global tables whose changelog is not there yet",
        f"{_HERE_TABLES}::test_a_global_table_whose_changelog_is_not_there_yet_begins_empty",
        f"{_HERE_TABLES}::test_a_changelog_with_fewer_partitions_than_its_table_is_named_and_changes_nothing",
        f"{_GLOBALS}::test_a_key_belongs_to_the_partition_that_wrote_it_first",
    ),
    "C36": absent("standby_buffer_size", "copies are read in batches, up to what is committed"),
    "C37": shown(
        "managers of set tables that collide",
        f"{_SETS}::test_managers_have_topics_and_agents_of_their_own",
    ),
    "C38": shown(
        "reads of hopping tables take the last window only",
        f"{_WINDOWED}::test_an_event_or_a_range_can_be_named",
        f"{_WINDOWED}::test_hopping_counts_in_every_window_that_holds_the_event",
    ),
    "C39": shown(
        "sets that take sets only",
        f"{_SETS}::test_a_set_has_the_operators_of_a_set_and_takes_any_iterable",
    ),
    "C40": shown(
        "polymorphic_fields on the containing model",
        f"{_RECORDS}::test_polymorphic_fields_work_on_the_model_that_contains_them",
    ),
    "C41": shown(
        "validation= and date_parser= are not inherited",
        f"{_FIELDS}::test_validation_is_inherited",
        f"{_FIELDS}::test_a_date_parser_reads_dates_and_is_inherited",
    ),
    "C42": shown(
        "limits of 0", f"{_FIELDS}::test_an_invalid_value_is_refused_by_constructor_and_decoder"
    ),
    "C43": shown(
        "what cannot be coerced",
        f"{_FIELDS}::test_what_cannot_be_coerced_is_a_validation_error_naming_the_field",
    ),
    "C44": shown(
        "excluded fields in derive(), input names, shared defaults",
        f"{_RECORDS}::test_derive_keeps_excluded_and_renamed_fields",
        f"{_RECORDS}::test_input_and_output_names",
        f"{_RECORDS}::test_mutable_defaults_are_not_shared",
        f"{_RECORDS}::test_unknown_keys_are_ignored_and_the_mapping_is_left_alone",
    ),
    "C45": shown(
        "tagged fields", f"{_FIELDS}::test_tagged_fields_survive_the_wire_as_their_values"
    ),
    "C46": shown(
        "bytes in JSON",
        f"{_FIELDS}::test_bytes_are_base64_text_in_json_also_where_values_are_coerced",
    ),
    "C47": shown(
        "json|gzip, unknown codecs",
        f"{_CODECS}::test_gzip_gives_equal_bytes_for_equal_values",
        f"{_CODECS}::test_an_unknown_name_is_a_clear_error_in_any_place",
    ),
    "C48": shown(
        "merge_headers() returns nothing",
        f"{_HERE_TOPICS}::test_headers_are_merged_in_place_and_returned",
    ),
    "C49": shown(
        "JSON that depends on what is installed", f"{_CODECS}::test_json_knows_more_than_json"
    ),
    "C50": shown(
        "routed requests lose their body",
        f"{_ROUTING}::test_a_request_reaches_the_worker_that_has_the_key_with_all_that_belongs_to_it",
        f"{_ROUTING}::test_a_form_with_a_file_is_sent_on_whole_and_read_there",
        f"{_ROUTING}::test_what_agents_wrote_is_read_from_whichever_worker_is_asked",
        f"{_ROUTING}::test_every_kind_of_key_finds_its_worker_and_a_redirect_comes_back_as_one",
        "unit/settings/test_class_settings.py::test_a_router_of_ones_own_sends_requests_where_it_wants_with_the_client_of_the_app",
    ),
    "C51": shown(
        "methods that CORS options take away",
        f"{_PAGES}::test_a_view_answers_every_verb_with_cors_options_too",
        f"{_PAGES}::test_cors_options_of_the_app_hold_for_pages_that_say_nothing_and_cover_every_verb",
        "unit/settings/test_effects_of_web_and_worker.py::test_other_sites_may_use_our_pages_and_all_their_methods",
    ),
    "C52": shown("two views of one name", f"{_PAGES}::test_no_two_views_share_a_name"),
    "C53": absent("the ttl of a cache", _LATER_BLUEPRINTS),
    "C54": shown(
        "statistics at /",
        f"{_PAGES}::test_the_built_in_pages_tell_what_there_is",
        "unit/settings/test_effects_of_web_and_worker.py::test_the_status_page_shows_all_that_the_monitor_counts",
    ),
    "C55": shown(
        "timezone='UTC'",
        f"{_TIMERS}::test_a_crontab_means_its_own_zone_or_that_of_the_app",
        f"{_SETTINGS}::test_a_timezone_may_be_given_by_name",
    ),
    "C56": shown(
        "the version as text",
        f"{_SETTINGS}::test_values_are_converted",
        f"{_SETTINGS}::test_the_id_is_composed",
    ),
    "C57": shown(
        "faust.version_info", "unit/test_public_names.py::test_the_version_is_taken_apart"
    ),
    "C58": shown(
        "faust completion without an app",
        "cli/test_completion.py::test_bash_completes_commands_options_agents_topics_and_models",
        f"{_PROGRAM}::test_completion_and_new_need_no_app",
    ),
    "C59": shown(
        "faust send -K str, and agents by name",
        "cli/test_send.py::test_agents_are_found_by_name_and_by_module",
        "cli/test_send.py::test_keys_and_values_are_sent_as_they_are_given_or_as_their_type",
    ),
    "C60": shown(
        "on_worker_init twice", f"{_PROGRAM}::test_on_worker_init_is_sent_once_for_each_start"
    ),
    "C61": shown(
        "faust agents with several topics",
        "cli/test_listing.py::test_agents_that_read_several_topics_or_a_pattern_are_listed",
    ),
    "C62": shown(
        "SIGQUIT, stop_and_shutdown_loop",
        "cli/test_worker_class.py::test_it_can_be_run_by_hand_in_a_loop_and_closes_it",
        "cli/test_signals.py::test_sigquit_ends_it_at_once",
    ),
    "C63": shown("SSLCredentials without purpose", "unit/test_auth.py::test_tls_needs_no_purpose"),
    "C64": shown("call_command()", f"{_PROGRAM}::test_call_command_needs_no_other_import"),
    "C65": shown(
        "one app in many threads",
        f"{_APP}::test_eight_threads_send_at_once_and_everything_arrives",
        f"{_APP}::test_a_thread_without_a_loop_reads_a_table_while_it_changes",
        "unit/app/test_eight_threads.py::test_eight_threads_use_a_running_app",
    ),
    "C66": shown(
        "APP_DEBUG=0",
        "unit/settings/test_app_settings.py::test_strict_is_off_where_it_says_so",
        f"{_SETTINGS}::test_a_false_text_in_the_environment_is_false",
        "unit/settings/test_settings_command.py::test_debug_is_off_where_the_environment_says_so",
        f"{_PROGRAM}::test_debug_in_the_environment_may_be_0",
    ),
    "C67": absent("the confluent driver delivers nothing", _ONE_DRIVER),
    "C68": shown(
        "errors in transactions are swallowed",
        "unit/engine/test_exactly_once.py::test_outputs_changelog_and_offsets_are_one_transaction",
    ),
    "C69": absent("the threaded producer", "there is one producer; producer_threaded is ignored"),
    "C70": absent("a fetcher cancelled without a supervisor", "the fetcher has no supervisor"),
    "C71": shown(
        "kills that count twice",
        "faults/test_kills.py::test_workers_killed_on_sqlite_lose_nothing_and_leave_exact_tables",
        "faults/test_kills.py::test_workers_killed_on_kafka_lose_nothing_and_leave_exact_tables",
    ),
    "C72": absent("times of livecheck", _LATER_LIVECHECK),
    "C73": shown(
        "topic names that are too long",
        f"{_CHANNELS}::test_an_impossible_name_is_refused_where_it_is_written",
    ),
    "C74": shown(
        "canonical_url changed in the group",
        f"{_ROUTING}::test_a_worker_whose_url_changes_while_it_is_in_the_group_goes_on",
    ),
    "C75": shown(
        "events skipped around a rebalance",
        "unit/engine/test_incarnations.py::test_what_was_fetched_for_an_older_run_is_dropped",
        f"{_UNFINISHED}::test_an_event_that_was_acknowledged_and_then_raised_was_handed_out_again",
    ),
    "D1": shown(
        "signals without .connect", f"{_APP}::test_every_signal_is_sent_to_who_has_connected"
    ),
    "D2": shown(
        "conf.broker_url = ...",
        f"{_APP}::test_a_signal_of_the_class_is_sent_for_every_app",
        "unit/settings/test_app_settings.py::test_broker_url_none_means_the_default",
        f"{_SETTINGS}::test_broker_url_and_store_url_are_the_settings_broker_and_store",
    ),
    "D3": shown(
        "app.Set(...).add(x)", "guide/test_guide_actions.py::test_a_set_knows_who_is_in_it"
    ),
    "D4": shown(
        "app.channel(key_serializer=...)",
        f"{_HERE_AGENTS}::test_a_key_serializer_of_a_channel_is_taken",
    ),
    "D5": shown(
        "@app.command(argument(...)) without self",
        f"{_COMMANDS}::test_the_command_itself_comes_first_under_any_name",
        f"{_COMMANDS}::test_options_and_arguments_are_given_by_name",
    ),
    "D6": shown(
        "bar.send(value)",
        f"{_HERE_AGENTS}::test_what_is_sent_to_an_agent_tells_its_callback_where_it_is",
    ),
    "D7": shown(
        "channel.put(1), then iterate",
        f"{_CHANNELS}::test_what_is_put_before_anybody_reads_is_not_lost",
    ),
    "D8": shown(
        "stream.take(100)", f"{_STREAMS}::test_take_without_within_waits_until_the_list_is_full"
    ),
    "D9": shown(
        "await event.ack()", f"{_STREAMS}::test_with_noack_only_what_was_acknowledged_is_committed"
    ),
    "D10": shown(
        "group_by(function)",
        f"{_STREAMS}::test_group_by_brings_equal_keys_together",
        f"{_STREAMS}::test_a_nameless_function_to_group_by_needs_a_name",
    ),
    "D11": shown(
        "@app.agent without brackets, filters without parameters",
        f"{_AGENTS}::test_an_agent_without_brackets_has_a_topic_of_its_own",
        f"{_STREAMS}::test_a_filter_is_a_function",
    ),
    "D12": shown(
        "@app.crontab(tz=...)", f"{_TIMERS}::test_a_crontab_means_its_own_zone_or_that_of_the_app"
    ),
    "D13": absent("faust.topic(...)", "a misprint for app.topic(...)"),
    "D14": shown("a ChoiceField", f"{_FIELDS}::test_custom_fields_validate_and_prepare"),
    "D15": shown(
        "Agent.test()",
        f"{_HERE_AGENTS}::test_an_agent_under_test_gets_its_values_plain_and_answers_them",
    ),
    "D16": shown(
        "faust clean_versions, default* of models",
        f"{_PROGRAM}::test_underscores_are_as_good_as_hyphens",
    ),
}
