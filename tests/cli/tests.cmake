# SPDX-License-Identifier: Apache-2.0
r53fwd_test(cli completion)
r53fwd_test(cli cmd_check)
foreach(unit ask screen import import_yaml import_join import_conf cmd_import cmd_explain cmd_orders cmd_status
   sounder finding diagnosis survey host cmd_doctor)
  r53fwd_test(cli ${unit} LIBRARIES PkgConfig::JANSSON)
endforeach()
r53fwd_test(cli diagnosis_host LIBRARIES PkgConfig::JANSSON)
