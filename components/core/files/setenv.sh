# shellcheck shell=sh
# Sourced by Tomcat's catalina.sh before it becomes the JVM: `exec` keeps its process id.
case " $* " in
*" run "*) /bin/bash /opt/dhis2-cluster/watchdog.sh $$ & ;;
esac
